//! Launch scripts as a whole: the honest ones stay below the line, the malicious ones do not.

use std::path::PathBuf;

use imagewarden::user_data::script::language_by_shebang;
use imagewarden::user_data::signal::{Judgement, judge};
use imagewarden::user_data::{Conclusion, Content, Language, Piece, Trust};

/// Every script of a folder, judged as the whole of an instance's user data.
fn judged(folder: &str) -> Vec<(String, Judgement)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/user-data").join(folder);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 50, "{folder} is all but empty");
    files
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let language = match path.extension().and_then(|extension| extension.to_str()) {
                Some("ps1") => Language::PowerShell,
                Some("bat") => Language::Batch,
                _ => language_by_shebang(&text).unwrap_or(Language::Shell),
            };
            let piece = Piece { path: String::new(), content: Content::Script { language, text } };
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, judge(&[piece], 0, None, &Trust::default()))
        })
        .collect()
}

#[test]
fn honest_launch_scripts_are_never_suspicious() {
    for (name, judgement) in judged("honest") {
        assert_ne!(judgement.conclusion, Conclusion::Suspicious, "{name}: {judgement:#?}");
    }
}

#[test]
fn malicious_launch_scripts_are_suspicious() {
    for (name, judgement) in judged("malicious") {
        assert_eq!(judgement.conclusion, Conclusion::Suspicious, "{name}: {judgement:#?}");
    }
}
