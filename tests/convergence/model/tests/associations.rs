//! Associations of EKS Pod Identity.

use prism_queue::aws::Associations;
use prism_queue::domain::call::ErrorKind;
use prism_queue::domain::identity::AssociationKey;
use prism_queue::domain::tags::Tags;

use super::{ACCOUNT, REGION, kind, operator, prompt, tags};
use crate::model::{Caller, Client, Fault, Trap, World};

const ROLE: &str = "arn:aws:iam::123456789012:role/worker";
const OTHER: &str = "arn:aws:iam::123456789012:role/other";
const FAR: &str = "arn:aws:iam::999999999999:role/worker";

fn key(service_account: &str) -> AssociationKey {
    AssociationKey {
        cluster: "prod".to_owned(),
        namespace: "media".to_owned(),
        service_account: service_account.to_owned(),
    }
}

/// A world with a cluster.
fn started() -> (World, Client) {
    let (world, client) = prompt();
    world.make_cluster(&operator().place, "prod");
    (world, client)
}

#[tokio::test]
async fn a_service_account_has_one_association() {
    let (world, client) = started();
    assert_eq!(client.find(&key("worker")).await.unwrap(), None);
    let made = client.create(&key("worker"), ROLE, None, &tags(&[("a", "1")])).await.unwrap();
    assert_eq!((made.role_arn.as_str(), &made.target_role_arn, &made.external_id), (ROLE, &None, &None));
    assert_eq!(made.tags, tags(&[("a", "1")]));
    let again = client.create(&key("worker"), OTHER, None, &Tags::new()).await;
    assert_eq!(kind(again), ErrorKind::EntityAlreadyExists);
    let other = client.create(&key("other"), ROLE, None, &Tags::new()).await.unwrap();
    assert_eq!(client.find(&key("worker")).await.unwrap(), Some(made.clone()));
    assert_eq!(world.associations(), [(key("other"), other.clone()), (key("worker"), made.clone())]);
    assert_eq!(kind(client.delete(&key("worker"), &other.id).await), ErrorKind::EntityDoesNotExist);
    client.delete(&key("worker"), &made.id).await.unwrap();
    assert_eq!(kind(client.delete(&key("worker"), &made.id).await), ErrorKind::EntityDoesNotExist);
    let again = client.create(&key("worker"), ROLE, None, &Tags::new()).await.unwrap();
    assert_ne!(again.id, made.id, "it is another one");
}

#[tokio::test]
async fn an_update_changes_roles_and_a_target_role_comes_with_an_external_id() {
    let (_, client) = started();
    let made = client.create(&key("worker"), ROLE, None, &tags(&[("a", "1")])).await.unwrap();
    let update = async |role, target| client.update(&key("worker"), &made.id, role, target).await;
    assert_eq!(kind(update(ROLE, None).await), ErrorKind::Invalid, "it changes nothing");
    let moved = update(OTHER, Some(FAR)).await.unwrap();
    assert_eq!((moved.role_arn.as_str(), moved.target_role_arn.as_deref()), (OTHER, Some(FAR)));
    assert_eq!((&moved.id, &moved.tags), (&made.id, &made.tags));
    let secret = moved.external_id.unwrap();
    assert_eq!(update(ROLE, Some(FAR)).await.unwrap().external_id.as_ref(), Some(&secret));
    let back = update(ROLE, None).await.unwrap();
    assert_eq!((back.target_role_arn, back.external_id), (None, None));
    assert_ne!(update(ROLE, Some(FAR)).await.unwrap().external_id, Some(secret));
    assert_eq!(client.find(&key("worker")).await.unwrap().unwrap().target_role_arn.as_deref(), Some(FAR));
}

#[tokio::test]
async fn a_cluster_is_one_of_its_account_and_region() {
    let (world, client) = started();
    client.create(&key("worker"), ROLE, None, &Tags::new()).await.unwrap();
    for stranger in [Caller::role(ACCOUNT, "us-east-1", "prism-queue"), Caller::role("999999999999", REGION, "x")] {
        let stranger = world.client(&stranger);
        assert_eq!(kind(stranger.find(&key("worker")).await), ErrorKind::EntityDoesNotExist);
    }
    let nowhere = AssociationKey { cluster: "none".to_owned(), ..key("worker") };
    assert_eq!(kind(client.find(&nowhere).await), ErrorKind::EntityDoesNotExist);
    assert_eq!(kind(client.create(&nowhere, ROLE, None, &Tags::new()).await), ErrorKind::EntityDoesNotExist);
}

#[tokio::test]
async fn the_role_is_one_of_the_clusters_account_and_the_target_role_any() {
    let (_, client) = started();
    for (role, target) in [(FAR, None), ("worker", None), (ROLE, Some("worker"))] {
        let answer = client.create(&key("worker"), role, target, &Tags::new()).await;
        assert_eq!(kind(answer), ErrorKind::Invalid, "{role} {target:?}");
    }
    let made = client.create(&key("worker"), ROLE, Some(FAR), &Tags::new()).await.unwrap();
    assert_eq!(kind(client.update(&key("worker"), &made.id, FAR, None).await), ErrorKind::Invalid);
}

#[tokio::test]
async fn others_change_associations_too() {
    let (world, client) = started();
    world.associate(&operator(), &key("worker"), ROLE, &tags(&[("team", "media")])).unwrap();
    let first = client.find(&key("worker")).await.unwrap().unwrap();
    world.associate(&operator(), &key("worker"), OTHER, &Tags::new()).unwrap();
    let second = client.find(&key("worker")).await.unwrap().unwrap();
    assert!(first.id != second.id && second.role_arn == OTHER && second.tags.is_empty());
    world.dissociate(&operator(), &key("worker"));
    assert_eq!(client.find(&key("worker")).await.unwrap(), None);
}

#[tokio::test]
async fn calls_about_associations_are_in_the_journal_and_meet_trouble() {
    let (world, client) = started();
    let mark = world.mark();
    world.inject(Trap::new(Fault::LoseAnswer).on("CreatePodIdentityAssociation"));
    let lost = client.create(&key("worker"), ROLE, Some(FAR), &tags(&[("a", "1")])).await;
    assert_eq!(kind(lost), ErrorKind::Transient);
    let found = client.find(&key("worker")).await.unwrap().unwrap();
    client.delete(&key("worker"), &found.id).await.unwrap();
    let [created, deleted] = &world.writes_since(mark)[..] else { panic!("two writes") };
    assert_eq!(
        (created.action, &created.arguments.keys[..]),
        ("CreatePodIdentityAssociation", &[ROLE, FAR].map(str::to_owned)[..])
    );
    assert_eq!((&created.association, created.tags_before.is_none()), (&Some(key("worker")), true));
    assert_eq!(deleted.tags_before, Some(tags(&[("a", "1")])));
    assert!(!created.touched_existing() && deleted.touched_existing() && deleted.subject().contains("media/worker"));
    assert_eq!(world.calls_since(mark).len(), 4);
}
