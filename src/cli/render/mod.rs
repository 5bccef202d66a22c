//! `kubectl queue render …`

mod operator_policy;

use clap::Subcommand;

/// What can be printed.
#[derive(Debug, Subcommand)]
pub enum Render {
    /// Prints the least IAM policy that the operator needs.
    ///
    /// It allows to see queues by their names, to make them with the owner tags, and to change and delete what carries those; in
    /// IAM the same under one path, roles never without the permissions boundary. Nothing is printed for what no Queue can ask for.
    ///
    /// Without a class it is for the operator's flags: --region, --name-prefix. With classes it is for those, and for the flags too
    /// if --region is given. Standard output is one policy, as `aws iam create-policy --policy-document` takes it; standard error
    /// says for whom it is, and who else needs one.
    OperatorPolicy(operator_policy::OperatorPolicyFlags),
}

/// What is printed, and what there is to know about it.
pub(super) async fn render(what: Render) -> Result<(String, Vec<String>), String> {
    match what {
        Render::OperatorPolicy(flags) => operator_policy::render(flags).await,
    }
}
