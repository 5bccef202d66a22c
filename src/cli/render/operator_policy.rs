//! `kubectl queue render operator-policy`

use clap::Args;

use super::super::Format;
use super::super::classes::ClassFlags;
use crate::api::QueueClass;
use crate::domain::arn::Place;
use crate::domain::iam::MAX_CHARACTERS;
use crate::domain::names::{NamePrefix, Naming};
use crate::domain::operator_policy::{Duties, Identity, Installation, OperatorPolicy, operator_policy};
use crate::runtime::settings::{cluster_name, region};

/// The most characters of all policies that are written into one role. Source: "IAM and AWS STS quotas".
const MAX_INLINE: usize = 10_240;

/// The flags.
#[derive(Debug, Args)]
#[allow(clippy::doc_markdown, reason = "these comments are the help texts, which show backticks as they are")]
pub struct OperatorPolicyFlags {
    /// The operator's --cluster-name: the owner tag by which it knows what is its own.
    #[arg(long, value_name = "NAME", value_parser = cluster_name)]
    cluster_name: String,

    /// The role or user that the operator itself is, for example arn:aws:iam::123456789012:role/prism-queue.
    ///
    /// With it, the operator may ask what it may do, which is how a class says what is missing.
    #[arg(long, value_name = "ARN", value_parser = principal)]
    operator_arn: Option<String>,

    /// The account of the operator's own identity, twelve digits. Left out: that of --operator-arn.
    #[arg(long, value_name = "ID", value_parser = account)]
    account_id: Option<String>,

    /// The operator's --region: where it makes queues that no class stands for.
    #[arg(long, value_name = "REGION", value_parser = region)]
    region: Option<String>,

    /// The operator's --name-prefix: what names of queues begin with that no class stands for.
    #[arg(long, value_name = "PREFIX", requires = "region", value_parser = NamePrefix::parse)]
    name_prefix: Option<NamePrefix>,

    #[command(flatten)]
    classes: ClassFlags,

    /// Whose policy: operator, for the operator's own identity, or the ARN of a role that the classes name.
    ///
    /// Left out: of the one who makes the queues. Where a class has a role, that is the role.
    #[arg(long, value_name = "operator|ARN", value_parser = identity)]
    identity: Option<Identity>,

    /// Of a policy that does not fit into one managed policy, only the part with this number, counted from 1.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..))]
    part: Option<u16>,

    /// How it is written.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value = "json")]
    output: Format,
}

pub(super) async fn render(flags: OperatorPolicyFlags) -> Result<(String, Vec<String>), String> {
    let installation = flags.installation()?;
    let mut duties = flags.of_flags(&installation)?;
    for class in flags.classes.read().await? {
        duties.push(of_class(&class, &installation)?);
    }
    let identity = flags.whose(&duties)?;
    let whole = operator_policy(&identity, &duties, &installation);
    let parts = whole.managed_policies();
    let mut notes = vec![of_whom(&identity, &whole)];
    let policy = match flags.part {
        None => {
            notes.extend(too_long(&whole, parts.len()));
            &whole
        }
        Some(part) => {
            notes.push(format!("This is part {part} of {}.", parts.len()));
            let missing = || format!("there is no part {part}: the policy has {}", parts.len());
            parts.get(usize::from(part) - 1).ok_or_else(missing)?
        }
    };
    if identity == Identity::Operator && installation.arn.is_none() && makes_queues(&identity, &duties) {
        notes.push(
            "Without --operator-arn it does not allow iam:SimulatePrincipalPolicy, by which classes say what is missing."
                .to_owned(),
        );
    }
    let others = all_identities(&duties).into_iter().filter(|other| *other != identity);
    notes.extend(
        others.map(|other| format!("Another one is needed for {}: --identity {}", in_words(&other), word(&other))),
    );
    Ok((flags.output.write(policy)?, notes))
}

impl OperatorPolicyFlags {
    fn installation(&self) -> Result<Installation, String> {
        let of_arn = self.operator_arn.as_deref().and_then(|arn| arn.split(':').nth(4));
        match (of_arn, self.account_id.as_deref()) {
            (Some(one), Some(other)) if one != other => {
                Err(format!("--operator-arn is of the account {one}, and --account-id is {other}: which is it?"))
            }
            (account, other) => Ok(Installation {
                cluster_name: self.cluster_name.clone(),
                arn: self.operator_arn.clone(),
                account_id: account.or(other).map(str::to_owned),
            }),
        }
    }

    /// What the flags stand for, if they do.
    fn of_flags(&self, installation: &Installation) -> Result<Vec<Duties>, String> {
        let Some(region) = self.region.clone() else {
            let has_class = !self.classes.names.is_empty() || !self.classes.files.is_empty();
            let missing = "give --region, for the operator's flags, or --class or --filename, for classes";
            return if has_class { Ok(Vec::new()) } else { Err(missing.to_owned()) };
        };
        let missing =
            "give --operator-arn or --account-id: the account in which the operator makes queues under its flags";
        let account_id = installation.account_id.clone().ok_or(missing)?;
        let naming = Naming::new(self.name_prefix.clone().unwrap_or_default());
        Ok(vec![Duties::of_flags(Place { account_id, region }, &naming)])
    }

    /// For whom to print.
    fn whose(&self, duties: &[Duties]) -> Result<Identity, String> {
        let all = all_identities(duties);
        let list = |of: &[Identity]| of.iter().map(word).collect::<Vec<_>>().join(", ");
        if let Some(identity) = &self.identity {
            let nobody =
                || format!("{} does nothing for these classes; those who do: {}", in_words(identity), list(&all));
            return if all.contains(identity) { Ok(identity.clone()) } else { Err(nobody()) };
        }
        let makers: Vec<Identity> = all.iter().filter(|identity| makes_queues(identity, duties)).cloned().collect();
        match makers.as_slice() {
            [one] => Ok(one.clone()),
            several => Err(format!("queues are made by several here; choose one with --identity: {}", list(several))),
        }
    }
}

fn of_class(class: &QueueClass, installation: &Installation) -> Result<Duties, String> {
    let name = class.metadata.name.as_deref().unwrap_or_default();
    Duties::of_class(class, installation).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(|error| format!("\n  {error}")).collect();
        format!("no policy can be made for the class {name:?}:{}", errors.concat())
    })
}

/// Everybody who acts, in the order of the classes.
fn all_identities(duties: &[Duties]) -> Vec<Identity> {
    let mut all: Vec<Identity> = Vec::new();
    for identity in duties.iter().flat_map(Duties::identities) {
        if !all.contains(&identity) {
            all.push(identity);
        }
    }
    all
}

fn makes_queues(identity: &Identity, duties: &[Duties]) -> bool {
    duties.iter().any(|duties| duties.maker() == identity)
}

fn of_whom(identity: &Identity, policy: &OperatorPolicy) -> String {
    format!("The policy of {}, of {} characters, white space not counted.", in_words(identity), policy.characters())
}

/// What to do about a policy that IAM would refuse as a managed one.
fn too_long(policy: &OperatorPolicy, parts: usize) -> Option<String> {
    let characters = policy.characters();
    let inline = if characters <= MAX_INLINE { ", or write it into the role as it is (put-role-policy)" } else { "" };
    (characters > MAX_CHARACTERS).then(|| {
        format!(
            "A managed policy may have {MAX_CHARACTERS}: make {parts} of it, with --part 1 to --part {parts}{inline}."
        )
    })
}

fn word(identity: &Identity) -> String {
    match identity {
        Identity::Operator => "operator".to_owned(),
        Identity::Role(arn) => arn.clone(),
    }
}

fn in_words(identity: &Identity) -> String {
    match identity {
        Identity::Operator => "the operator's own identity".to_owned(),
        Identity::Role(arn) => format!("the role {arn}"),
    }
}

fn identity(text: &str) -> Result<Identity, String> {
    match text {
        "operator" => Ok(Identity::Operator),
        arn if arn.starts_with("arn:") => Ok(Identity::Role(arn.to_owned())),
        _ => Err("want operator, or the ARN of a role".to_owned()),
    }
}

fn principal(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/+=,.@_-".contains(c);
    match parts[..] {
        ["arn", partition, "iam", "", account_id, principal]
            if !partition.is_empty()
                && account(account_id).is_ok()
                && (principal.starts_with("role/") || principal.starts_with("user/"))
                && principal.chars().all(is_plain) =>
        {
            Ok(text.to_owned())
        }
        ["arn", _, "sts", "", _, _] => Err("that is a session of a role; give the ARN of the role itself".to_owned()),
        _ => Err("want the ARN of a role or a user, for example arn:aws:iam::123456789012:role/prism-queue".to_owned()),
    }
}

fn account(text: &str) -> Result<String, String> {
    let is_account = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
    if is_account { Ok(text.to_owned()) } else { Err("an account is twelve digits".to_owned()) }
}
