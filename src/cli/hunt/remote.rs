//! Which files and objects the arguments mean.

use std::path::PathBuf;
use std::sync::Arc;

use imagewarden::archive::{self, Fetch, Input};
use miette::IntoDiagnostic;

pub struct Found {
    pub inputs: Vec<Input>,
    /// Who fetches objects, where there are any.
    pub fetch: Option<Arc<dyn Fetch>>,
}

#[cfg(not(feature = "aws"))]
pub async fn inputs(paths: &[PathBuf]) -> miette::Result<Found> {
    Ok(Found { inputs: archive::inputs(paths).into_diagnostic()?, fetch: None })
}

/// In the order of the arguments.
#[cfg(feature = "aws")]
pub async fn inputs(paths: &[PathBuf]) -> miette::Result<Found> {
    if !paths.iter().any(|path| archive::bucket(path).is_some()) {
        return Ok(Found { inputs: archive::inputs(paths).into_diagnostic()?, fetch: None });
    }
    let sdk = imagewarden::aws::load().await.into_diagnostic()?;
    let client = imagewarden::aws::s3(&sdk);
    let mut inputs = Vec::new();
    for path in paths {
        match archive::bucket(path) {
            Some((bucket, prefix)) => {
                let listed = archive::s3::list(&client, bucket, prefix).await;
                inputs.extend(listed.map_err(|reason| miette::miette!("{}: {reason}", path.display()))?);
            }
            None => inputs.extend(archive::inputs(std::slice::from_ref(path)).into_diagnostic()?),
        }
    }
    let fetch: Arc<dyn Fetch> = Arc::new(archive::s3::Fetcher::start(sdk).into_diagnostic()?);
    Ok(Found { inputs, fetch: Some(fetch) })
}
