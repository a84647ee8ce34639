//! Which files and objects the arguments mean, and which facts stand beside them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use imagewarden::archive::{self, Fetch, Input};
use imagewarden::lookup::Recorded;
use miette::IntoDiagnostic;

use crate::cli::inputs::FactFolders;

pub struct Found {
    pub inputs: Vec<Input>,
    /// Who fetches objects, where there are any.
    pub fetch: Option<Arc<dyn Fetch>>,
}

impl Found {
    #[cfg(not(feature = "aws"))]
    pub async fn at(paths: &[PathBuf]) -> miette::Result<Self> {
        Ok(Self { inputs: archive::inputs(paths).into_diagnostic()?, fetch: None })
    }

    /// In the order of the arguments.
    #[cfg(feature = "aws")]
    pub async fn at(paths: &[PathBuf]) -> miette::Result<Self> {
        if !paths.iter().any(|path| archive::bucket(path).is_some()) {
            return Ok(Self { inputs: archive::inputs(paths).into_diagnostic()?, fetch: None });
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
        Ok(Self { inputs, fetch: Some(fetch) })
    }

    /// The facts beside a file. What has no place on disk has those beside the current folder.
    pub fn facts_of(&self, file: usize, folders: &mut FactFolders) -> miette::Result<Arc<Recorded>> {
        let here = Path::new(".");
        match self.inputs.get(file) {
            Some(Input::File { path, root }) => {
                let folder = path.parent().unwrap_or(here);
                let root = if root == path { folder } else { root };
                folders.beside(root, folder)
            }
            _ => folders.beside(here, here),
        }
    }
}
