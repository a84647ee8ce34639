//! What an alert's findings have in common, gathered once for all renderers.

use super::Alert;
use crate::detection::{NextStep, Reason, Subject};

/// What to do, the most severe finding's steps first, each once.
pub fn steps(alert: &Alert) -> Vec<&NextStep> {
    let mut steps: Vec<&NextStep> = Vec::new();
    for step in alert.findings.iter().flat_map(|finding| &finding.matched.next_steps) {
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
    steps
}

/// What could not be looked at, each reason once with the detections that gave it. What an alert about
/// blindness already says as its summary is left out.
pub fn blind_spots(alert: &Alert) -> Vec<(&Reason, Vec<&'static str>)> {
    let said = match &alert.subject {
        Subject::Blind { .. } | Subject::Unchecked { .. } => {
            alert.lead().map(|finding| finding.matched.summary.as_str())
        }
        _ => None,
    };
    let mut spots: Vec<(&Reason, Vec<&'static str>)> = Vec::new();
    for missing in &alert.not_inspected {
        if said.is_some_and(|summary| summary.contains(&missing.reason.text)) {
            continue;
        }
        match spots.iter_mut().find(|(reason, _)| **reason == missing.reason) {
            Some((_, detections)) if !detections.contains(&missing.detection) => {
                detections.push(missing.detection);
            }
            Some(_) => {}
            None => spots.push((&missing.reason, vec![missing.detection])),
        }
    }
    spots
}
