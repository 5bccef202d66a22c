//! The tour: what the operator does, shown as a person would see it, each step checked.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::aws::{ACCOUNT, OTHER_ACCOUNT, text_at};
use crate::interrupt::Interrupted;
use crate::supervisor::until;
use crate::terminal::{self, Progress};
use crate::world::World;

/// Where the examples live.
const NAMESPACE: &str = "media";
/// The Queue whose message is not digested, and which is edited; its `maxReceiveCount` is 3.
const IMAGES: &str = "image-processing";
/// The class of the examples, and the namespace of its Queue.
const CLASS: &str = "payments";
const CLASS_NAMESPACE: &str = "billing";
/// The Queue that is broken from outside.
const THUMBNAILS: &str = "thumbnails";
/// The `ServiceAccount` that gets a role, and its `QueueAccess`.
const WORKLOAD: &str = "previewer";
const RECEIVES: usize = 3;
/// SQS may show an old value for a minute after a write: so long the operator takes it for no drift.
const PATIENCE: Duration = Duration::from_secs(150);

/// What is shown, and how.
type Step<'w> = (&'static str, fn(&Tour<'w>) -> Result<()>);

/// A tour of a world that is up.
pub struct Tour<'w> {
    world: &'w World,
}

impl<'w> Tour<'w> {
    pub fn new(world: &'w World) -> Self {
        Self { world }
    }

    /// Takes every step, also after one fell short; success when none did.
    pub fn tell(&self) -> Result<ExitCode> {
        let steps: [Step<'w>; 10] = [
            ("Apply the examples", Self::apply),
            ("Wait until every queue is ready", Self::wait_until_ready),
            ("The queues, as Kubernetes shows them", Self::show_objects),
            ("The queues, as AWS reports them", Self::show_queues),
            ("What a workload gets", Self::show_secret),
            ("A message that nobody digests goes to the dead-letter queue", Self::lose_patience_with_a_message),
            ("Edit a Queue, and AWS follows", Self::edit),
            ("Break a queue from outside, and it is repaired", Self::break_and_repair),
            ("A class: another account, through a role, under the rules of the house", Self::follow_a_class),
            ("A workload's ServiceAccount gets a role in AWS of its own", Self::follow_a_role),
        ];
        let mut fell_short = Vec::new();
        for (title, step) in steps {
            terminal::heading(title);
            match step(self) {
                Ok(()) => {}
                Err(error) if error.is::<Interrupted>() => return Err(error),
                Err(error) => {
                    terminal::bad(&format!("{error:#}"));
                    fell_short.push(title);
                }
            }
        }
        terminal::heading("The tour");
        if fell_short.is_empty() {
            terminal::good("every step did what it should");
            return Ok(ExitCode::SUCCESS);
        }
        for title in fell_short {
            terminal::bad(title);
        }
        println!("the operator: {}", self.world.operator.end_of_log());
        Ok(ExitCode::FAILURE)
    }

    fn apply(&self) -> Result<()> {
        let files = crate::root().join("examples");
        terminal::command("kubectl apply --filename examples/");
        print!("{}", self.kubectl(&["apply", "--filename", &files.to_string_lossy()])?);
        Ok(())
    }

    fn wait_until_ready(&self) -> Result<()> {
        let limit = format!("--timeout={}s", PATIENCE.as_secs());
        let arguments =
            ["wait", "queues.queue.prism.io", "--all", "--namespace", NAMESPACE, "--for=condition=Ready", &limit];
        terminal::command(&format!("kubectl {}", arguments.join(" ")));
        let mut progress = Progress::start("waiting");
        let world = self.world;
        let waited = world.run.run_quietly(&world.control_plane.admin.with(&arguments), Some(&mut progress))?;
        progress.done();
        print!("{}", waited.checked("waiting for Ready")?);
        let queues = self.queues()?;
        terminal::good(&format!("{} queues are ready", queues.len()));
        Ok(())
    }

    fn show_objects(&self) -> Result<()> {
        self.show(&["get", "queues", "--namespace", NAMESPACE]).map(drop)
    }

    fn show_queues(&self) -> Result<()> {
        terminal::command("aws sqs list-queues");
        let mut answer = self.world.sqs.call("ListQueues", &json!({}))?;
        println!("{answer:#}");
        let urls: Vec<String> = serde_json::from_value(answer["QueueUrls"].take()).context("no queues")?;

        terminal::command("for url in …; do aws sqs get-queue-attributes --queue-url $url --attribute-names All; done");
        let wanted = ["VisibilityTimeout", "MessageRetentionPeriod", "SqsManagedSseEnabled", "RedrivePolicy"];
        println!("{:<38} {:>10} {:>10}  {:<5}  REDRIVE POLICY", "QUEUE", "VISIBILITY", "RETENTION", "SSE");
        for url in &urls {
            let attributes = self.world.sqs.attributes(url)?;
            let [visibility, retention, encrypted, redrive] =
                wanted.map(|name| text_at(&attributes, &format!("/{name}")));
            let name = url.rsplit('/').next().unwrap_or(url);
            println!("{name:<38} {visibility:>9}s {retention:>9}s  {encrypted:<5}  {}", redrive_in_words(redrive));
        }

        for queue in self.queues()? {
            let (name, url) = (text_at(&queue, "/metadata/name"), text_at(&queue, "/status/queueUrl"));
            ensure!(urls.iter().any(|known| known == url), "AWS knows no queue at the URL of {name}: {url:?}");
            let dead_letters = text_at(&queue, "/status/deadLetter/queueArn");
            let redrive = self.world.sqs.attributes(url)?;
            let redrive = text_at(&redrive, "/RedrivePolicy");
            ensure!(
                redrive.contains(dead_letters) && redrive.is_empty() == dead_letters.is_empty(),
                "the redrive policy of {name} is {redrive:?}, and its dead-letter queue {dead_letters:?}"
            );
        }
        terminal::good("AWS has each of them, wired to its dead-letter queue");
        Ok(())
    }

    fn show_secret(&self) -> Result<()> {
        let secret = format!("{IMAGES}-queue");
        let shown = self.show(&["describe", "secret", &secret, "--namespace", NAMESPACE])?;
        for key in ["QUEUE_URL", "QUEUE_ARN", "QUEUE_REGION", "DEAD_LETTER_QUEUE_URL"] {
            ensure!(shown.contains(&format!("{key}:")), "the Secret {secret} has no key {key}");
        }
        println!("QUEUE_URL={}", self.secret("QUEUE_URL")?);
        terminal::good("a workload takes these in with envFrom");
        Ok(())
    }

    fn lose_patience_with_a_message(&self) -> Result<()> {
        let sqs = &self.world.sqs;
        let (url, dead_letters) = (self.secret("QUEUE_URL")?, self.secret("DEAD_LETTER_QUEUE_URL")?);
        terminal::command("aws sqs send-message --queue-url $QUEUE_URL --message-body 'cat.jpg'");
        let sent = sqs.call("SendMessage", &json!({"QueueUrl": url, "MessageBody": "cat.jpg"}))?;
        println!("{sent:#}");

        let receive = |url: &str| {
            // Visible again at once, as if a worker had died with it.
            let request = json!({
                "QueueUrl": url, "VisibilityTimeout": 0, "WaitTimeSeconds": 0,
                "MessageSystemAttributeNames": ["ApproximateReceiveCount"],
            });
            Ok(sqs.call("ReceiveMessage", &request)?.pointer("/Messages/0").cloned())
        };
        terminal::command("aws sqs receive-message --queue-url $QUEUE_URL --visibility-timeout 0");
        for time in 1..=RECEIVES {
            let message = until(PATIENCE, || receive(&url))?;
            println!("receive {time}: {:?}, not deleted", text_at(&message, "/Body"));
        }
        ensure!(receive(&url)?.is_none(), "the message is still in the queue after {RECEIVES} receives");
        println!("receive {}: nothing", RECEIVES + 1);

        terminal::command("aws sqs receive-message --queue-url $DEAD_LETTER_QUEUE_URL");
        let message = until(PATIENCE, || receive(&dead_letters))?;
        println!("{message:#}");
        ensure!(text_at(&message, "/Body") == "cat.jpg", "another message is in the dead-letter queue");
        terminal::good(&format!("after {RECEIVES} receives it is in the dead-letter queue, where it can be looked at"));
        Ok(())
    }

    fn edit(&self) -> Result<()> {
        const SECONDS: &str = "120";
        let url = self.url(IMAGES)?;
        let before = self.world.sqs.attributes(&url)?;
        ensure!(
            text_at(&before, "/VisibilityTimeout") != SECONDS,
            "the example has this value already: nothing would change"
        );
        let change = format!(r#"{{"spec":{{"visibilityTimeoutSeconds":{SECONDS}}}}}"#);
        self.show(&["patch", "queue", IMAGES, "--namespace", NAMESPACE, "--type=merge", "--patch", &change])?;
        println!("VisibilityTimeout in AWS before: {}", text_at(&before, "/VisibilityTimeout"));
        let after = self.until_aws("AWS follows", &url, |now| text_at(now, "/VisibilityTimeout") == SECONDS)?;
        println!("VisibilityTimeout in AWS after:  {}", text_at(&after, "/VisibilityTimeout"));
        terminal::good("edited in YAML, changed in AWS");
        Ok(())
    }

    fn break_and_repair(&self) -> Result<()> {
        let url = self.url(THUMBNAILS)?;
        let report = |when: &str, attributes: &Value| {
            let redrive = redrive_in_words(text_at(attributes, "/RedrivePolicy"));
            println!(
                "{when}: VisibilityTimeout {}, redrive policy: {redrive}",
                text_at(attributes, "/VisibilityTimeout")
            );
        };
        let before = self.world.sqs.attributes(&url)?;
        let as_it_was = |now: &Value| {
            now["VisibilityTimeout"] == before["VisibilityTimeout"]
                && redrive_in_words(text_at(now, "/RedrivePolicy"))
                    == redrive_in_words(text_at(&before, "/RedrivePolicy"))
        };
        report("before", &before);

        let damage = json!({"VisibilityTimeout": "1", "RedrivePolicy": ""});
        terminal::command(&format!("aws sqs set-queue-attributes --queue-url {url} --attributes '{damage}'"));
        self.world.sqs.call("SetQueueAttributes", &json!({"QueueUrl": url, "Attributes": damage}))?;
        let broken = self.world.sqs.attributes(&url)?;
        report("broken", &broken);
        ensure!(!as_it_was(&broken), "the queue is as it was: nothing was broken");

        let now = format!("queue.prism.io/reconcile-at={}", Timestamp::now());
        self.show(&["annotate", "queue", THUMBNAILS, "--namespace", NAMESPACE, "--overwrite", &now])?;
        let repaired = self.until_aws("the operator repairs it", &url, as_it_was)?;
        report("repaired", &repaired);
        terminal::good("what was changed by hand is as the YAML says");
        Ok(())
    }

    fn follow_a_class(&self) -> Result<()> {
        self.show(&["wait", "queueclass", CLASS, "--for=condition=Ready", "--timeout=60s"])?;
        self.show(&["get", "queueclasses"])?;
        let within = ["--namespace", CLASS_NAMESPACE];
        self.show(
            &[&["wait", "queues.queue.prism.io", "--all", "--for=condition=Ready", "--timeout=60s"], &within[..]]
                .concat(),
        )?;
        let path = "--output=jsonpath={.items[*].status.queueArn}";
        let arns = self.show(&[&["get", "queues.queue.prism.io", path], &within[..]].concat())?;
        println!();
        ensure!(arns.contains(OTHER_ACCOUNT) && !arns.contains(ACCOUNT), "{arns:?} is not in account {OTHER_ACCOUNT}");
        terminal::good("the team wrote no account, no region and no name");
        Ok(())
    }

    fn follow_a_role(&self) -> Result<()> {
        let within = ["--namespace", NAMESPACE];
        self.show(
            &[&["wait", "queueaccess", WORKLOAD, "--for=condition=Ready", "--timeout=60s"], &within[..]].concat(),
        )?;
        self.show(&["get", "queueaccesses", "--all-namespaces", "--output=wide"])?;
        let path = r"--output=jsonpath={.metadata.annotations.eks\.amazonaws\.com/role-arn}";
        let role = self.show(&[&["get", "serviceaccount", WORKLOAD, path], &within[..]].concat())?;
        println!();
        ensure!(role.contains(&format!(":role/prism-queue/{NAMESPACE}_{WORKLOAD}_")), "{role:?} is not its role");
        terminal::good("nobody wrote IAM JSON, and the role goes with the QueueAccess");
        Ok(())
    }

    /// The attributes of a queue once they are as wished; shows the time that it takes.
    fn until_aws(&self, what: &str, url: &str, mut wished: impl FnMut(&Value) -> bool) -> Result<Value> {
        let mut progress = Progress::start(what);
        let attributes = until(PATIENCE, || {
            progress.tick();
            let attributes = self.world.sqs.attributes(url)?;
            Ok(wished(&attributes).then_some(attributes))
        });
        progress.done();
        attributes.with_context(|| format!("{what}: not so"))
    }

    /// The Queues of the examples.
    fn queues(&self) -> Result<Vec<Value>> {
        let list = self.kubectl(&["get", "queues.queue.prism.io", "--namespace", NAMESPACE, "--output=json"])?;
        let mut list: Value = serde_json::from_str(&list)?;
        let queues: Vec<Value> = serde_json::from_value(list["items"].take())?;
        ensure!(!queues.is_empty(), "there is no Queue in the namespace {NAMESPACE}");
        Ok(queues)
    }

    fn url(&self, name: &str) -> Result<String> {
        let path = "--output=jsonpath={.status.queueUrl}";
        let url = self.kubectl(&["get", "queues.queue.prism.io", name, "--namespace", NAMESPACE, path])?;
        ensure!(!url.is_empty(), "the Queue {name} has no URL");
        Ok(url)
    }

    /// One key of the Secret, as a workload reads it.
    fn secret(&self, key: &str) -> Result<String> {
        let template = format!("--output=go-template={{{{index .data \"{key}\" | base64decode}}}}");
        self.kubectl(&["get", "secret", &format!("{IMAGES}-queue"), "--namespace", NAMESPACE, &template])
    }

    /// Runs kubectl before the viewer's eyes.
    fn show(&self, arguments: &[&str]) -> Result<String> {
        let quoted = arguments
            .iter()
            .map(|word| if word.contains(['{', '"', ' ']) { format!("'{word}'") } else { (*word).to_owned() });
        terminal::command(&format!("kubectl {}", quoted.collect::<Vec<_>>().join(" ")));
        let output = self.kubectl(arguments)?;
        print!("{output}");
        Ok(output)
    }

    fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.world.control_plane.admin.run(&self.world.run, arguments)
    }
}

/// `{"deadLetterTargetArn":"arn:…:name","maxReceiveCount":3}` in words.
fn redrive_in_words(policy: &str) -> String {
    let Ok(policy) = serde_json::from_str::<Value>(policy) else { return "none".to_owned() };
    let target = text_at(&policy, "/deadLetterTargetArn");
    // A number, or a number in quotes: SQS has answered with both.
    let count = policy["maxReceiveCount"].to_string().replace('"', "");
    format!("after {count} receives to {}", target.rsplit(':').next().unwrap_or(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redrive_policy_is_told_in_words() {
        let policy =
            r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-central-1:123456789012:media_a_dlq","maxReceiveCount":"3"}"#;
        assert_eq!(redrive_in_words(policy), "after 3 receives to media_a_dlq");
        assert_eq!(redrive_in_words(&policy.replace("\"3\"", "3")), "after 3 receives to media_a_dlq");
        assert_eq!(redrive_in_words(""), "none");
    }
}
