//! Where a role is in IAM: its path, its name, its ARN.

use std::fmt;

use super::super::arn::Place;
use super::super::iam::{EntityArn, IamPath};

/// The most characters of a role's name. Source: "IAM and AWS STS quotas".
pub const MAX_ROLE_NAME: usize = 64;

const ROLE: &str = "role";

/// The ARN of a role: `arn:<partition>:iam::<account>:role<path><name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleArn(EntityArn);

impl RoleArn {
    /// The ARN of the role `name` at `path` in the account of `place`. A name has at most [`MAX_ROLE_NAME`] letters, digits
    /// and `+=,.@_-`.
    #[must_use]
    pub fn at(place: &Place, path: &IamPath, name: String) -> Self {
        Self(EntityArn::at(place, path, name))
    }

    /// Reads an ARN; `None` when it is not one of a role. The session of a role (`…:assumed-role/…`) is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        EntityArn::parse(text, ROLE, MAX_ROLE_NAME).map(Self)
    }

    /// The partition, for example `aws`.
    #[must_use]
    pub fn partition(&self) -> &str {
        self.0.partition()
    }

    /// The twelve digits of the account.
    #[must_use]
    pub fn account_id(&self) -> &str {
        self.0.account_id()
    }

    /// The path, for `CreateRole`; `/` for a role without one.
    #[must_use]
    pub fn path(&self) -> &str {
        self.0.path()
    }

    /// The name, by which all calls go: unique in the account, whatever the path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(ROLE, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_read_into_its_parts_and_written_as_it_was() {
        for (text, path) in [
            ("arn:aws:iam::123456789012:role/worker", "/"),
            ("arn:aws-us-gov:iam::123456789012:role/prism-queue/a/worker", "/prism-queue/a/"),
        ] {
            let arn = RoleArn::parse(text).unwrap();
            assert_eq!((arn.path(), arn.name(), arn.account_id()), (path, "worker", "123456789012"));
            assert_eq!(arn.partition(), text.split(':').nth(1).unwrap());
            assert_eq!(arn.to_string(), text);
        }
        let place = Place { account_id: "123456789012".to_owned(), region: "cn-north-1".to_owned() };
        let made = RoleArn::at(&place, &IamPath::default(), "worker".to_owned());
        assert_eq!(made.to_string(), "arn:aws-cn:iam::123456789012:role/prism-queue/worker");
        assert_eq!(RoleArn::parse(&made.to_string()), Some(made));
    }

    #[test]
    fn what_is_no_role_is_refused() {
        let long = "r".repeat(MAX_ROLE_NAME);
        assert!(RoleArn::parse(&format!("arn:aws:iam::123456789012:role/{long}")).is_some());
        for bad in [
            "",
            "worker",
            "arn:aws:iam::123456789012:role",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/a/",
            "arn:aws:iam::123456789012:role//worker",
            "arn:aws:iam::123456789012:roles/worker",
            "arn:aws:iam::123456789012:role/wor*er",
            "arn:aws:iam::123456789012:role/wor:ker",
            "arn:aws:iam::123456789012:policy/worker",
            "arn:aws:iam::123456789012:user/worker",
            "arn:aws:iam::aws:role/worker",
            "arn:aws:iam:eu-central-1:123456789012:role/worker",
            "arn::iam::123456789012:role/worker",
            "arn:aws:sts::123456789012:assumed-role/worker/session",
            &format!("arn:aws:iam::123456789012:role/{long}r"),
        ] {
            assert_eq!(RoleArn::parse(bad), None, "{bad}");
        }
    }
}
