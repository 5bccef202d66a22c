//! A certificate in files, which somebody else renews: cert-manager through a mounted Secret, or whoever wrote them.

use std::path::PathBuf;

use async_trait::async_trait;

use super::super::tls::Pem;
use super::{Certificates, Look};

/// `tls.crt` and `tls.key`, as in a Secret of type kubernetes.io/tls.
pub(in crate::webhook) struct Files(PathBuf);

impl Files {
    pub(in crate::webhook) fn new(directory: PathBuf) -> Self {
        Self(directory)
    }

    async fn read(&self, name: &str) -> Result<String, String> {
        let path = self.0.join(name);
        tokio::fs::read_to_string(&path).await.map_err(|error| format!("{}: {error}", path.display()))
    }
}

#[async_trait]
impl Certificates for Files {
    async fn look(&mut self) -> Look {
        // Read between two renewals they do not belong together; then they are read again.
        match (self.read("tls.crt").await, self.read("tls.key").await) {
            (Ok(certificate), Ok(key)) => {
                Look { certificate: Some(Pem(format!("{certificate}\n{key}"))), trouble: None }
            }
            (Err(why), _) | (_, Err(why)) => Look { certificate: None, trouble: Some(why) },
        }
    }
}
