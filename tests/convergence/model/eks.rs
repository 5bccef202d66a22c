//! EKS Pod Identity, as the EKS API reference describes it: one association for each ServiceAccount of a cluster, with a role
//! of the cluster's own account and at most one target role.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use prism_queue::aws::Associations;
use prism_queue::domain::arn::{Place, partition_of};
use prism_queue::domain::call::{CallError, ErrorKind};
use prism_queue::domain::identity::{Association, AssociationKey, RoleArn};
use prism_queue::domain::tags::Tags;

use super::caller::Caller;
use super::journal::Arguments;
use super::refusal::{Answer, Refusal};
use super::state::State;
use super::{Client, World};

/// A cluster is one of an account and a region.
type Cluster = (String, String, String);

/// All clusters and associations of all accounts.
#[derive(Default)]
pub(super) struct Eks {
    clusters: BTreeSet<Cluster>,
    associations: BTreeMap<(Cluster, AssociationKey), Association>,
    made: u32,
}

impl Eks {
    /// The tags of an association, when there is one.
    pub(super) fn tags(&self, caller: &Caller, key: &AssociationKey) -> Option<Tags> {
        self.associations.get(&of(&caller.place, key)).map(|association| association.tags.clone())
    }

    fn check_cluster(&self, (cluster, _): &(Cluster, AssociationKey)) -> Answer<()> {
        if self.clusters.contains(cluster) { Ok(()) } else { Err(missing("No cluster found for this name.")) }
    }

    fn found(&mut self, place: &(Cluster, AssociationKey), id: &str) -> Answer<&mut Association> {
        self.check_cluster(place)?;
        let found = self.associations.get_mut(place).filter(|association| association.id == id);
        found.ok_or_else(|| missing("No association found for this id."))
    }

    /// What EKS says to assume a target role with: another one for each association.
    fn external_id(&mut self) -> String {
        self.made += 1;
        format!("external-{:08}", self.made)
    }
}

impl State {
    fn find_association(&self, caller: &Caller, key: &AssociationKey) -> Answer<Option<Association>> {
        let place = of(&caller.place, key);
        self.eks.check_cluster(&place)?;
        Ok(self.eks.associations.get(&place).cloned())
    }

    fn create_association(
        &mut self,
        caller: &Caller,
        key: &AssociationKey,
        roles: (&str, Option<&str>),
        tags: &Tags,
    ) -> Answer<Association> {
        let place = of(&caller.place, key);
        self.eks.check_cluster(&place)?;
        check_roles(caller, roles)?;
        if self.eks.associations.contains_key(&place) {
            let words = "Association already exists.";
            return Err(Refusal::new(ErrorKind::EntityAlreadyExists, "ResourceInUseException", words));
        }
        self.eks.made += 1;
        let id = format!("a-{:08}", self.eks.made);
        let Place { account_id, region } = &caller.place;
        let partition = partition_of(region);
        let cluster = &key.cluster;
        let association = Association {
            arn: format!("arn:{partition}:eks:{region}:{account_id}:podidentityassociation/{cluster}/{id}"),
            id,
            role_arn: roles.0.to_owned(),
            target_role_arn: roles.1.map(str::to_owned),
            external_id: roles.1.map(|_| self.eks.external_id()),
            tags: tags.clone(),
        };
        self.eks.associations.insert(place, association.clone());
        Ok(association)
    }

    fn update_association(
        &mut self,
        caller: &Caller,
        key: &AssociationKey,
        id: &str,
        roles: (&str, Option<&str>),
    ) -> Answer<Association> {
        check_roles(caller, roles)?;
        let external_id = self.eks.external_id();
        let association = self.eks.found(&of(&caller.place, key), id)?;
        if (association.role_arn.as_str(), association.target_role_arn.as_deref()) == roles {
            return Err(invalid("You must change at least one parameter."));
        }
        association.role_arn = roles.0.to_owned();
        association.target_role_arn = roles.1.map(str::to_owned);
        // One that it has, it keeps as long as it has a target role.
        association.external_id = roles.1.map(|_| association.external_id.take().unwrap_or(external_id));
        Ok(association.clone())
    }

    fn delete_association(&mut self, caller: &Caller, key: &AssociationKey, id: &str) -> Answer<()> {
        let place = of(&caller.place, key);
        self.eks.found(&place, id)?;
        self.eks.associations.remove(&place);
        Ok(())
    }
}

#[async_trait]
impl Associations for Client {
    /// Two calls, where the first finds one.
    async fn find(&self, key: &AssociationKey) -> Result<Option<Association>, CallError> {
        let look = |state: &mut State, caller: &Caller| state.find_association(caller, key);
        let listed = self.on_association("ListPodIdentityAssociations", key, Arguments::default(), look).await?;
        if listed.is_none() {
            return Ok(None);
        }
        self.on_association("DescribePodIdentityAssociation", key, Arguments::default(), look).await
    }

    async fn create(
        &self,
        key: &AssociationKey,
        role_arn: &str,
        target_role_arn: Option<&str>,
        tags: &Tags,
    ) -> Result<Association, CallError> {
        let roles = (role_arn, target_role_arn);
        let arguments = Arguments { tags: tags.clone(), ..naming(roles) };
        self.on_association("CreatePodIdentityAssociation", key, arguments, |state, caller| {
            state.create_association(caller, key, roles, tags)
        })
        .await
    }

    async fn update(
        &self,
        key: &AssociationKey,
        id: &str,
        role_arn: &str,
        target_role_arn: Option<&str>,
    ) -> Result<Association, CallError> {
        let roles = (role_arn, target_role_arn);
        self.on_association("UpdatePodIdentityAssociation", key, naming(roles), |state, caller| {
            state.update_association(caller, key, id, roles)
        })
        .await
    }

    async fn delete(&self, key: &AssociationKey, id: &str) -> Result<(), CallError> {
        self.on_association("DeletePodIdentityAssociation", key, Arguments::default(), |state, caller| {
            state.delete_association(caller, key, id)
        })
        .await
    }
}

/// What others do.
impl World {
    /// Somebody has a cluster in EKS.
    pub fn make_cluster(&self, place: &Place, name: &str) {
        let cluster = (place.account_id.clone(), place.region.clone(), name.to_owned());
        self.state().eks.clusters.insert(cluster);
    }

    /// Somebody makes an association, in place of the one that is there.
    pub fn associate(&self, caller: &Caller, key: &AssociationKey, role_arn: &str, tags: &Tags) -> Answer<()> {
        let mut state = self.state();
        state.eks.associations.remove(&of(&caller.place, key));
        state.create_association(caller, key, (role_arn, None), tags).map(|_| ())
    }

    /// Somebody deletes an association.
    pub fn dissociate(&self, caller: &Caller, key: &AssociationKey) {
        self.state().eks.associations.remove(&of(&caller.place, key));
    }

    /// All associations.
    pub fn associations(&self) -> Vec<(AssociationKey, Association)> {
        let state = self.state();
        let all = state.eks.associations.iter();
        all.map(|((_, key), association)| (key.clone(), association.clone())).collect()
    }
}

fn of(place: &Place, key: &AssociationKey) -> (Cluster, AssociationKey) {
    ((place.account_id.clone(), place.region.clone(), key.cluster.clone()), key.clone())
}

fn naming((role, target): (&str, Option<&str>)) -> Arguments {
    Arguments { keys: std::iter::once(role).chain(target).map(str::to_owned).collect(), ..Arguments::default() }
}

/// A role of the cluster's own account, which the caller passes; and perhaps another to go on to.
fn check_roles(caller: &Caller, (role, target): (&str, Option<&str>)) -> Answer<()> {
    let parse = |text: &str| RoleArn::parse(text).ok_or_else(|| invalid("Role provided in the request is not an ARN."));
    if parse(role)?.account_id() != caller.place.account_id {
        return Err(invalid("Cross-account pass role is not allowed."));
    }
    target.map_or(Ok(()), |target| parse(target).map(|_| ()))
}

fn missing(words: &str) -> Refusal {
    Refusal::new(ErrorKind::EntityDoesNotExist, "ResourceNotFoundException", words)
}

fn invalid(words: &str) -> Refusal {
    Refusal::new(ErrorKind::Invalid, "InvalidParameterException", words)
}
