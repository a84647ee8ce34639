//! When alerts came: bars by hour, day or more, stacked by severity.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::html::Html;
use crate::alert::words;
use crate::severity::Severity;

/// Hours that are counted one by one: eleven years without a gap.
const HOURS: usize = 100_000;
/// Bars that are drawn at most.
const BARS: i64 = 92;
/// Lengths of a bar, in hours: an hour to about a year.
const STEPS: [i64; 11] = [1, 3, 6, 12, 24, 48, 24 * 7, 24 * 14, 24 * 30, 24 * 91, 24 * 365];
/// Units of the drawing's height.
const HEIGHT: u64 = 1_000;

/// Alerts by hour, since 1970, and severity.
#[derive(Debug, Default)]
pub struct Chart {
    hours: BTreeMap<i64, [u64; 5]>,
    /// Past the bound.
    undrawn: u64,
}

impl Chart {
    pub fn add(&mut self, time: DateTime<Utc>, severity: Severity) {
        let hour = time.timestamp().div_euclid(3_600);
        if self.hours.len() >= HOURS && !self.hours.contains_key(&hour) {
            self.undrawn = self.undrawn.saturating_add(1);
            return;
        }
        if let Some(count) = self.hours.entry(hour).or_default().get_mut(place(severity)) {
            *count = count.saturating_add(1);
        }
    }

    /// The first and the last hour.
    pub fn span(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let time = |hour: &i64| DateTime::from_timestamp(hour.saturating_mul(3_600), 0);
        let (first, last) = (self.hours.first_key_value()?, self.hours.last_key_value()?);
        Some((time(first.0)?, time(last.0)?))
    }

    /// The drawing with its axis, and the same as a table for those who cannot see it.
    pub fn render(&self) -> Html {
        let mut html = Html::default();
        let (Some((&first, _)), Some((&last, _))) =
            (self.hours.first_key_value(), self.hours.last_key_value())
        else {
            return html;
        };
        let step = step(first, last);
        let start = first.div_euclid(step);
        let bars = last.div_euclid(step).saturating_sub(start).saturating_add(1);
        let mut sums: BTreeMap<i64, [u64; 5]> = BTreeMap::new();
        for (hour, counts) in &self.hours {
            let sum = sums.entry(hour.div_euclid(step)).or_default();
            for (sum, count) in sum.iter_mut().zip(counts) {
                *sum = sum.saturating_add(*count);
            }
        }
        let highest = sums.values().map(|counts| counts.iter().sum::<u64>()).max().unwrap_or(1).max(1);
        let unit = unit(step);
        html.raw("<figure class=\"chart\"><figcaption>Alerts per ").shown(&unit, 40).raw(", ");
        html.number(highest).raw(" at most</figcaption>");
        // Few bars must not become walls.
        let width = bars.max(24);
        html.raw("<svg viewBox=\"0 0 ").shown(&width.saturating_mul(10).to_string(), 20);
        html.raw(" 1000\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"Alerts by time; the table below has the numbers\">");
        for (bar, counts) in &sums {
            let x = bar.saturating_sub(start).saturating_mul(10).saturating_add(1);
            let mut top = HEIGHT;
            html.raw("<g>");
            title(&mut html, *bar, step, counts);
            for severity in Severity::ALL.into_iter().rev() {
                let count = counts.get(place(severity)).copied().unwrap_or(0);
                if count == 0 {
                    continue;
                }
                // One among thousands still shows.
                let height = (count.saturating_mul(HEIGHT) / highest).max(12).min(top);
                top = top.saturating_sub(height);
                html.raw("<rect class=\"s").shown(&severity.id().to_string(), 1);
                html.raw("\" x=\"").shown(&x.to_string(), 20);
                html.raw("\" y=\"").shown(&top.to_string(), 20);
                html.raw("\" width=\"8\" height=\"").shown(&height.to_string(), 20).raw("\"/>");
            }
            html.raw("</g>");
        }
        html.raw("</svg><div class=\"axis\" aria-hidden=\"true\"><span>")
            .shown(&label(start, step), 40)
            .raw("</span>");
        let end = start.saturating_add(width);
        let middle = start.saturating_add(width / 2);
        html.raw("<span>").shown(&label(middle, step), 40).raw("</span><span>");
        html.shown(&label(end, step), 40).raw("</span></div>");
        if self.undrawn > 0 {
            html.raw("<p class=\"dim\">").shown(&words::count(self.undrawn, "alert is", "alerts are"), 40);
            html.raw(" not drawn: there are too many different hours.</p>");
        }
        table(&mut html, &sums, step, &unit);
        html.raw("</figure>");
        html
    }
}

fn place(severity: Severity) -> usize {
    usize::from(severity.id().saturating_sub(1))
}

/// The shortest bar that leaves few enough of them, in hours.
fn step(first: i64, last: i64) -> i64 {
    let fits = |step: &i64| last.div_euclid(*step).saturating_sub(first.div_euclid(*step)) < BARS;
    let longest = last.saturating_sub(first).saturating_div(BARS).saturating_add(1);
    STEPS.into_iter().find(fits).unwrap_or(longest)
}

fn unit(step: i64) -> String {
    match step {
        1 => "hour".to_owned(),
        24 => "day".to_owned(),
        168 => "week".to_owned(),
        hours if hours % 24 == 0 => format!("{} days", hours / 24),
        hours => format!("{hours} hours"),
    }
}

/// Where a bar starts.
fn label(bar: i64, step: i64) -> String {
    let hours = bar.saturating_mul(step);
    let time = TimeDelta::try_hours(hours).and_then(|since| DateTime::UNIX_EPOCH.checked_add_signed(since));
    let format = if step < 24 { "%e %b %H:%M" } else { "%e %b %Y" };
    time.map(|time| time.format(format).to_string().trim().to_owned()).unwrap_or_default()
}

fn title(html: &mut Html, bar: i64, step: i64, counts: &[u64; 5]) {
    html.raw("<title>").shown(&label(bar, step), 40).raw(": ");
    let mut gap = "";
    for severity in Severity::ALL.into_iter().rev() {
        let count = counts.get(place(severity)).copied().unwrap_or(0);
        if count > 0 {
            html.raw(gap).number(count).raw(" ").raw(severity.name());
            gap = ", ";
        }
    }
    html.raw("</title>");
}

fn table(html: &mut Html, sums: &BTreeMap<i64, [u64; 5]>, step: i64, unit: &str) {
    html.raw("<details class=\"numbers\"><summary>The same as a table</summary><div class=\"scroll\"><table><thead><tr><th scope=\"col\">From, per ");
    html.shown(unit, 40).raw("</th>");
    for severity in Severity::ALL.into_iter().rev() {
        html.raw("<th scope=\"col\" class=\"number\">").raw(severity.caption()).raw("</th>");
    }
    html.raw("</tr></thead><tbody>");
    for (bar, counts) in sums {
        html.raw("<tr><th scope=\"row\">").shown(&label(*bar, step), 40).raw("</th>");
        for count in counts.iter().rev() {
            html.raw("<td class=\"number\">").number(*count).raw("</td>");
        }
        html.raw("</tr>");
    }
    html.raw("</tbody></table></div></details>");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn the_bars_fit_the_time() {
        for (first, last, unit) in [
            ("2026-03-01T00:10:00Z", "2026-03-03T23:50:00Z", "Alerts per hour"),
            ("2026-03-01T00:10:00Z", "2026-05-29T23:50:00Z", "Alerts per day"),
            ("1970-01-01T00:00:00Z", "2026-05-29T23:50:00Z", "Alerts per 365 days"),
            ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "hours"),
        ] {
            let mut chart = Chart::default();
            chart.add(at(first), Severity::Low);
            chart.add(at(last), Severity::Critical);
            let page = chart.render();
            assert!(page.as_str().contains(unit), "{}", page.as_str());
            assert_eq!(page.as_str().matches("<rect").count(), 2);
        }
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert_eq!(Chart::default().render().as_str(), "");
    }

    #[test]
    fn the_table_has_the_numbers() {
        let mut chart = Chart::default();
        for _ in 0..1_200 {
            chart.add(at("2026-03-01T00:10:00Z"), Severity::Medium);
        }
        let page = chart.render();
        assert!(page.as_str().contains("<td class=\"number\">1,200</td>"), "{}", page.as_str());
        assert!(page.as_str().contains("<title>1 Mar 00:00: 1,200 medium</title>"));
    }
}
