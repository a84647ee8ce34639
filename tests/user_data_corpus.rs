//! Launch scripts as a whole: the honest ones stay below the line, the malicious ones do not.

use std::path::PathBuf;

use imagewarden::user_data::signal::judge;
use imagewarden::user_data::{Conclusion, Content, Language, Piece, Trust, inspect};

/// Every file of a folder, judged as the whole of an instance's user data: name, conclusion, what was found.
fn judged(folder: &str) -> Vec<(String, Conclusion, String)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/user-data").join(folder);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 120, "{folder} is all but empty");
    files
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let tag = match path.extension().and_then(|extension| extension.to_str()) {
                Some("ps1") => Some("powershell"),
                Some("bat") => Some("script"),
                _ => None,
            };
            // As EC2 holds it; a script without a first line that says so is judged as shell.
            let wrapped = tag.map(|tag| format!("<{tag}>\n{text}\n</{tag}>"));
            if wrapped.is_some() || text.starts_with('#') {
                let inspection = inspect(wrapped.unwrap_or(text).as_bytes(), &Trust::default(), false);
                return (name, inspection.conclusion, format!("{:#?}", inspection.findings));
            }
            let content = Content::Script { language: Language::Shell, text };
            let judgement = judge(&[Piece { path: String::new(), content }], 0, None, &Trust::default());
            (name, judgement.conclusion, format!("{:#?}", judgement.findings))
        })
        .collect()
}

/// The files whose conclusion is, or is not, that they are suspicious.
fn with(folder: &str, suspicious: bool) -> Vec<String> {
    judged(folder)
        .into_iter()
        .filter(|(_, conclusion, _)| (*conclusion == Conclusion::Suspicious) == suspicious)
        .map(|(name, conclusion, findings)| format!("{name}: {conclusion:?} {findings}"))
        .collect()
}

#[test]
fn honest_launch_scripts_are_never_suspicious() {
    let flagged = with("honest", true);
    assert!(flagged.is_empty(), "{} flagged\n{}", flagged.len(), flagged.join("\n"));
}

#[test]
fn malicious_launch_scripts_are_suspicious() {
    let missed = with("malicious", false);
    assert!(missed.is_empty(), "{} missed\n{}", missed.len(), missed.join("\n"));
}
