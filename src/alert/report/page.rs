//! The whole page.

use std::io::{self, Write};
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::html::Html;
use super::seen;
use super::thread::machine;
use super::{Report, Summary};
use crate::alert::words::{count, thousands};
use crate::severity::Severity;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Nothing is loaded, nothing is sent, and nothing runs but the page's own script.
static SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
});

/// Unreadable places and unjudged images that are named one by one.
const NAMED: usize = 200;
/// Accounts offered in the filter.
const ACCOUNTS: usize = 500;

pub fn write(report: &Report, summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    let mut html = Html::default();
    head(&mut html, report);
    html.raw("<body>\n<a class=\"skip\" href=\"#alerts\">Skip to the alerts</a>\n");
    masthead(&mut html, report, summary);
    html.raw("<main>\n");
    overview(&mut html, report);
    out.write_all(html.as_str().as_bytes())?;
    alerts(report, out)?;
    let mut html = Html::default();
    if report.alerts > 0 {
        html.part(&seen::who_and_what(report));
    }
    not_inspected(&mut html, report, summary);
    read(&mut html, summary);
    policy(&mut html, summary);
    html.raw("</main>\n<footer><p>Imagewarden ").raw(env!("CARGO_PKG_VERSION"));
    html.raw(", made ").shown(&machine(summary.made), 40);
    html.raw(". MITRE ATT&amp;CK T1204.003, User Execution: Malicious Image. Times are UTC, and those of the events. ");
    html.raw("Nothing on this page is loaded from anywhere.</p></footer>\n<script>").raw(SCRIPT);
    html.raw("</script>\n</body>\n</html>\n");
    out.write_all(html.as_str().as_bytes())
}

fn head(html: &mut Html, report: &Report) {
    html.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"")
        .escaped(&SECURITY_POLICY)
        .raw("\">\n");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    html.raw("<meta name=\"color-scheme\" content=\"light dark\">\n");
    html.raw(
        "<meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"robots\" content=\"noindex\">\n",
    );
    html.raw("<title>Imagewarden report: ").shown(&count(report.alerts, "alert", "alerts"), 40);
    html.raw("</title>\n<style>").raw(STYLE).raw("</style>\n</head>\n");
}

/// What a reader wants to know first.
fn masthead(html: &mut Html, report: &Report, summary: &Summary) {
    html.raw("<header class=\"masthead\"><p class=\"brand\">Imagewarden</p><h1>");
    if report.alerts == 0 {
        html.raw("No alerts");
    } else {
        html.shown(&count(report.alerts, "alert", "alerts"), 40);
        let threads = report.known.len() as u64;
        if threads < report.alerts {
            html.raw(" in ").shown(&count(threads, "thread", "threads"), 40);
        }
    }
    html.raw("</h1><p class=\"gist\">");
    let worst: Vec<String> = Severity::ALL
        .into_iter()
        .rev()
        .filter_map(|severity| {
            let number = of(report, severity);
            (number > 0).then(|| format!("{} {}", thousands(number), severity.name()))
        })
        .collect();
    if !worst.is_empty() {
        html.shown(&worst.join(", "), 200).raw(". ");
    }
    html.shown(&count(summary.records, "record", "records"), 40).raw(" read from ");
    html.shown(&count(summary.files, "file", "files"), 40);
    if let Some((first, last)) = report.chart.span() {
        let day = |time: DateTime<Utc>| time.format("%e %B %Y").to_string().trim().to_owned();
        let (first, last) = (day(first), day(last));
        html.raw("; alerts from ").shown(&first, 40);
        if first != last {
            html.raw(" to ").shown(&last, 40);
        }
    }
    html.raw(".");
    if summary.unread_total > 0 {
        html.raw(" <a href=\"#unseen\">").shown(&count(summary.unread_total, "thing", "things"), 40);
        html.raw(" could not be read</a>.");
    }
    if !summary.unjudged.is_empty() {
        html.raw(" <a href=\"#unseen\">").shown(&count(summary.unjudged.len() as u64, "image", "images"), 40);
        html.raw(" could not be judged</a>.");
    }
    if report.below_floor > 0 {
        html.raw(" ").shown(&count(report.below_floor, "alert is", "alerts are"), 40);
        html.raw(" below the notification floor: the function would not publish them.");
    }
    html.raw("</p>");
    for note in summary.notes.iter().take(20) {
        html.raw("<p class=\"note\">").shown(note, 600).raw("</p>");
    }
    html.raw("</header>\n");
}

fn of(report: &Report, severity: Severity) -> u64 {
    report.severities.get(usize::from(severity.id().saturating_sub(1))).copied().unwrap_or(0)
}

fn overview(html: &mut Html, report: &Report) {
    if report.alerts == 0 {
        return;
    }
    html.raw("<section class=\"overview\" aria-label=\"Overview\"><ul class=\"severities\">");
    for severity in Severity::ALL.into_iter().rev() {
        let number = of(report, severity);
        html.raw("<li class=\"s").shown(&severity.id().to_string(), 1);
        html.raw(if number == 0 { " none\"><b>" } else { "\"><b>" }).number(number).raw("</b> ");
        html.raw(severity.caption()).raw("</li>");
    }
    html.raw("</ul>").part(&report.chart.render()).raw("</section>\n");
}

fn alerts(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut html = Html::default();
    html.raw("<section aria-labelledby=\"alerts\"><h2 id=\"alerts\" tabindex=\"-1\">Alerts</h2>\n");
    if report.alerts == 0 {
        html.raw("<p>Nothing that was read matched a detection. What could not be looked at stands below.</p></section>\n");
        return out.write_all(html.as_str().as_bytes());
    }
    let left_out = report.known.len().saturating_sub(report.threads.len()) as u64;
    if left_out > 0 {
        html.raw("<p class=\"note\">This list holds the ").number(report.threads.len() as u64);
        html.raw(" most severe threads, the earliest of them first. ");
        html.shown(&count(left_out, "other is", "others are"), 40);
        html.raw(
            " in every count, in the chart and in the tables, but not in this list: a longer one would be \
                  of no use in a browser. The JSON format has every alert.</p>\n",
        );
    }
    filters(&mut html, report);
    html.raw("<div class=\"columns\" aria-hidden=\"true\"><span>Severity</span><span>When (UTC)</span><span>What</span>");
    html.raw("<span>Who</span><span>Where</span></div>\n<ol class=\"threads\" id=\"list\">\n");
    out.write_all(html.as_str().as_bytes())?;
    for (uid, thread) in report.ranked() {
        let mut html = Html::default();
        thread.render(&mut html, uid);
        out.write_all(html.as_str().as_bytes())?;
    }
    out.write_all(b"</ol>\n<p id=\"nothing\" class=\"dim\" hidden>No alert fits the filters.</p></section>\n")
}

/// Hidden until the script that makes them work has run.
fn filters(html: &mut Html, report: &Report) {
    html.raw("<form id=\"filters\" class=\"filters\" hidden><label class=\"search\">Text <input type=\"search\" id=\"text\" \
              autocomplete=\"off\" spellcheck=\"false\" placeholder=\"image, person, address\"></label>");
    html.raw("<label>Detection <select id=\"detection\"><option value=\"\">all</option>");
    let ranked = report.detections.ranked();
    for (id, entry) in &ranked {
        html.raw("<option value=\"")
            .escaped(id)
            .raw("\">")
            .escaped(id)
            .raw(" (")
            .number(entry.count)
            .raw(")</option>");
    }
    html.raw("</select></label><label>Account <select id=\"account\"><option value=\"\">all</option>");
    for (account, entry) in report.accounts.ranked().into_iter().take(ACCOUNTS) {
        html.raw("<option value=\"").escaped(account).raw("\">").escaped(account).raw(" (");
        html.number(entry.count).raw(")</option>");
    }
    html.raw("</select></label><label>Order <select id=\"order\"><option value=\"severity\">most severe first</option>");
    html.raw("<option value=\"new\">newest first</option><option value=\"old\">oldest first</option></select></label>");
    html.raw("<fieldset><legend>Severity</legend>");
    for severity in Severity::ALL.into_iter().rev().filter(|severity| of(report, *severity) > 0) {
        html.raw("<label class=\"chip s").shown(&severity.id().to_string(), 1);
        html.raw("\"><input type=\"checkbox\" name=\"severity\" checked value=\"")
            .raw(severity.name())
            .raw("\">");
        html.raw(severity.caption()).raw("</label>");
    }
    html.raw("</fieldset><div class=\"tools\"><output id=\"shown\" aria-live=\"polite\"></output>");
    html.raw("<button type=\"button\" id=\"open\">Open all shown</button><button type=\"reset\">Clear filters</button></div></form>\n");
}

fn not_inspected(html: &mut Html, report: &Report, summary: &Summary) {
    html.raw("<section aria-labelledby=\"unseen\"><h2 id=\"unseen\">What was not inspected</h2>");
    html.raw("<p>None of this is to be taken for clean.</p>");
    if !summary.unjudged.is_empty() {
        html.raw(
            "<h3>Images nobody looked up</h3><p>The logs do not name images' owners. Launches from these \
                  were not checked against the policy.</p><div class=\"scroll\"><table><thead><tr>\
                  <th scope=\"col\">Image</th><th scope=\"col\">Region</th>\
                  <th scope=\"col\" class=\"number\">Launches</th><th scope=\"col\">First</th>\
                  <th scope=\"col\">Last</th></tr></thead><tbody>",
        );
        for unjudged in summary.unjudged.iter().take(NAMED) {
            html.raw("<tr><th scope=\"row\"><code>").told(&unjudged.image, 256).raw("</code></th><td>");
            html.shown(&unjudged.region, 64).raw("</td><td class=\"number\">").number(unjudged.launches);
            html.raw("</td><td>").shown(&machine(unjudged.first), 40).raw("</td><td>");
            html.shown(&machine(unjudged.last), 40).raw("</td></tr>");
        }
        html.raw("</tbody></table></div>");
        rest(html, summary.unjudged.len() as u64, NAMED as u64);
        if let Some(command) = &summary.unjudged_command {
            html.raw("<p>This fetches what is missing; put what it prints into a file in the facts folder:</p><pre><code>");
            html.verbatim(command).raw("</code></pre>");
        }
    }
    html.raw("<h3>What detections wanted and did not get</h3>");
    seen::unseen(report, html);
    html.raw("<h3>What could not be read</h3>");
    if summary.unread_total == 0 {
        html.raw("<p>Every record could be read.</p></section>\n");
        return;
    }
    html.raw("<div class=\"scroll\"><table><thead><tr><th scope=\"col\">Where</th><th scope=\"col\">Why</th></tr></thead><tbody>");
    for unread in summary.unread.iter().take(NAMED) {
        html.raw("<tr><th scope=\"row\">").shown(&unread.place, 600).raw("</th><td>");
        html.told(&unread.reason, 400).raw("</td></tr>");
    }
    html.raw("</tbody></table></div>");
    rest(html, summary.unread_total, summary.unread.len().min(NAMED) as u64);
    html.raw("</section>\n");
}

fn rest(html: &mut Html, total: u64, named: u64) {
    if total > named {
        html.raw("<p class=\"dim\">And ").number(total.saturating_sub(named)).raw(" more.</p>");
    }
}

fn read(html: &mut Html, summary: &Summary) {
    html.raw("<section aria-labelledby=\"read\"><h2 id=\"read\">What was read</h2><dl class=\"counts\">");
    let judged = summary.records.saturating_sub(summary.activities);
    for (label, number, note) in [
        ("Files", summary.files, ""),
        ("Bytes", summary.bytes, "as they are stored"),
        ("Records", summary.records, ""),
        ("Judged", summary.activities, "activities that a detection looks at"),
        ("Of no interest", judged, "other API calls"),
        ("Could not be read", summary.unread_total, ""),
        ("Repetitions", summary.repetitions, "alerts counted in their threads"),
        ("Suppressed", summary.suppressed, "matches that the policy keeps quiet"),
    ] {
        if number > 0 || note.is_empty() {
            html.raw("<dt>")
                .raw(label)
                .raw("</dt><dd><b>")
                .number(number)
                .raw("</b> ")
                .raw(note)
                .raw("</dd>");
        }
    }
    html.raw("</dl>");
    if !summary.sources.is_empty() {
        html.raw("<p>From:</p><ul>");
        for source in summary.sources.iter().take(50) {
            html.raw("<li><code>").shown(source, 600).raw("</code></li>");
        }
        html.raw("</ul>");
        rest(html, summary.sources.len() as u64, 50);
    }
    html.raw("</section>\n");
}

fn policy(html: &mut Html, summary: &Summary) {
    html.raw("<section aria-labelledby=\"policy\"><h2 id=\"policy\">The policy</h2><p>Judged by ");
    html.shown(&summary.policy.name, 600).raw(".</p><details><summary>Every setting</summary><pre><code>");
    html.verbatim(&summary.policy.yaml).raw("</code></pre></details></section>\n");
}
