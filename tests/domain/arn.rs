use prism_queue::domain::arn::{Place, QueueArn, partition_of};
use prism_queue::domain::names::QueueName;

use crate::fixtures::*;

#[test]
fn an_arn_is_derived_from_place_and_name() {
    for (region, partition) in [
        ("eu-central-1", "aws"),
        ("us-east-1", "aws"),
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("us-iso-east-1", "aws-iso"),
        ("us-isob-east-1", "aws-iso-b"),
        ("us-isof-south-1", "aws-iso-f"),
        ("eu-isoe-west-1", "aws-iso-e"),
        ("eusc-de-east-1", "aws-eusc"),
    ] {
        let place = Place { account_id: ACCOUNT.to_owned(), region: region.to_owned() };
        let name = QueueName::parse("media_orders.fifo").unwrap();
        let arn = place.queue_arn(&name);
        assert_eq!(partition_of(region), partition);
        assert_eq!(arn.to_string(), format!("arn:{partition}:sqs:{region}:{ACCOUNT}:media_orders.fifo"));
        assert!(arn.is_in(&place));
        assert!(arn.is_fifo());
        assert_eq!(QueueArn::parse(&arn.to_string()).as_ref(), Ok(&arn));
    }
}

#[test]
fn what_is_no_queue_arn_is_refused_with_the_rule() {
    for (text, rule) in [
        ("media_orders", "want arn:<partition>:sqs:<region>:<account>:<name>"),
        ("arn:aws:sns:eu-central-1:123456789012:topic", "want arn:<partition>:sqs:<region>:<account>:<name>"),
        ("arn::sqs:eu-central-1:123456789012:orders", "want arn:<partition>:sqs:<region>:<account>:<name>"),
        ("arn:aws:sqs::123456789012:orders", "want arn:<partition>:sqs:<region>:<account>:<name>"),
        ("arn:aws:sqs:eu-central-1:123456789012:orders:x", "want arn:<partition>:sqs:<region>:<account>:<name>"),
        ("arn:aws:sqs:eu-central-1:12345678901:orders", "the account id \"12345678901\" is not twelve digits"),
        ("arn:aws:sqs:eu-central-1:12345678901x:orders", "is not twelve digits"),
        ("arn:aws:sqs:eu-central-1:123456789012:", "a queue name must not be empty"),
        ("arn:aws:sqs:eu-central-1:123456789012:or ders", "SQS allows letters, digits, '-' and '_'"),
    ] {
        let error = QueueArn::parse(text).unwrap_err();
        assert!(error.contains(rule), "{text}: {error}");
    }
}

#[test]
fn another_account_or_region_is_another_place() {
    let here = class().place;
    for (text, is_here) in [
        ("arn:aws:sqs:eu-central-1:123456789012:orders", true),
        ("arn:aws:sqs:eu-west-1:123456789012:orders", false),
        ("arn:aws:sqs:eu-central-1:210987654321:orders", false),
    ] {
        assert_eq!(QueueArn::parse(text).unwrap().is_in(&here), is_here, "{text}");
    }
}
