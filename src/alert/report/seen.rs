//! The tables of what came up: who, which images, which detections, and what was not looked at.

use super::Report;
use super::html::Html;
use super::tally::Tally;
use super::thread::machine;
use crate::alert::words;

/// Rows of a table; the rest is a count.
const ROWS: usize = 15;
/// Reasons for not looking that are shown; the rest is a count.
const REASONS: usize = 200;

/// Who and which images.
pub fn who_and_what(report: &Report) -> Html {
    let mut html = Html::default();
    html.raw(
        "<section aria-labelledby=\"who\"><h2 id=\"who\">Who, and which images</h2><div class=\"pair\">",
    );
    ranking(&mut html, "Who", &report.principals, Shape::Principal);
    ranking(&mut html, "Image or repository", &report.images, Shape::Image);
    html.raw("</div>");
    ranking(&mut html, "Detection", &report.detections, Shape::Detection);
    html.raw("</section>");
    html
}

/// How a name and its note are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// The note is the name that a person recognises.
    Principal,
    Image,
    Detection,
}

fn ranking(html: &mut Html, heading: &'static str, tally: &Tally, shape: Shape) {
    let ranked = tally.ranked();
    if ranked.is_empty() {
        return;
    }
    html.raw("<div class=\"scroll\"><table class=\"ranking\"><thead><tr><th scope=\"col\">").raw(heading);
    html.raw("</th><th scope=\"col\">Worst</th><th scope=\"col\" class=\"number\">Alerts</th>");
    html.raw("<th scope=\"col\">First and last</th></tr></thead><tbody>");
    let most = if shape == Shape::Detection { ranked.len() } else { ROWS };
    for (name, entry) in ranked.iter().take(most) {
        let strong = match shape {
            Shape::Principal if !entry.note.is_empty() => entry.note.as_str(),
            _ => name,
        };
        html.raw("<tr><th scope=\"row\">").escaped(strong);
        let small = match shape {
            Shape::Principal if strong != *name => name,
            Shape::Principal => "",
            _ => entry.note.as_str(),
        };
        if !small.is_empty() {
            html.raw("<small>").escaped(small).raw("</small>");
        }
        html.raw("</th><td><span class=\"pill s").shown(&entry.severity.id().to_string(), 1).raw("\">");
        html.raw(entry.severity.caption()).raw("</span></td><td class=\"number\">").number(entry.count);
        html.raw("</td><td class=\"times\"><time datetime=\"").shown(&machine(entry.first), 40).raw("\">");
        let (first, last) = (day(entry.first), day(entry.last));
        html.shown(&first, 20).raw("</time>");
        if first != last {
            html.raw(" to <time datetime=\"").shown(&machine(entry.last), 40).raw("\">");
            html.shown(&last, 20).raw("</time>");
        }
        html.raw("</td></tr>");
    }
    html.raw("</tbody></table>");
    let rest = tally.len().saturating_sub(most) as u64;
    if rest > 0 || tally.uncounted > 0 {
        html.raw("<p class=\"dim\">And ").shown(&words::count(rest, "other", "others"), 40);
        if tally.uncounted > 0 {
            html.raw("; ").shown(&words::count(tally.uncounted, "alert", "alerts"), 40);
            html.raw(" about names that were no longer told apart");
        }
        html.raw(".</p>");
    }
    html.raw("</div>");
}

fn day(time: chrono::DateTime<chrono::Utc>) -> String {
    time.format("%Y-%m-%d").to_string()
}

/// What could not be told, in all alerts together.
pub fn unseen(report: &Report, html: &mut Html) {
    if report.unseen.is_empty() {
        html.raw("<p>Nothing that the alerts' detections wanted was missing.</p>");
        return;
    }
    let mut reasons: Vec<_> = report.unseen.iter().collect();
    reasons.sort_by_key(|(key, count)| (std::cmp::Reverse(**count), *key));
    html.raw("<div class=\"scroll\"><table><thead><tr><th scope=\"col\">What, and why</th>");
    html.raw(
        "<th scope=\"col\">Detection</th><th scope=\"col\" class=\"number\">Alerts</th></tr></thead><tbody>",
    );
    for ((reason, detection), count) in reasons.iter().take(REASONS) {
        html.raw("<tr><td>").escaped(reason).raw("</td><td><code>").raw(detection);
        html.raw("</code></td><td class=\"number\">").number(**count).raw("</td></tr>");
    }
    html.raw("</tbody></table></div>");
    let rest = report.unseen_rest.saturating_add(reasons.len().saturating_sub(REASONS) as u64);
    if rest > 0 {
        html.raw("<p class=\"dim\">And ").number(rest).raw(" more, in the JSON form of the alerts.</p>");
    }
}
