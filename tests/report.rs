//! The report as a team meets it: the page in a real browser, with names that would like to run.

mod browser;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use browser::Browser;
use chrono::{DateTime, TimeDelta, Utc};
use imagewarden::alert::Alert;
use imagewarden::alert::report::{Bounds, PolicyText, Report, Summary, Unjudged, Unread};
use imagewarden::history::InMemory;
use imagewarden::history::deliver::{Fate, Publisher};
use imagewarden::lookup::recorded::Recorded;
use imagewarden::pipeline::Pipeline;
use imagewarden::policy::Policy;
use imagewarden::source::{self, Surroundings};
use serde_json::{Value, json};

struct Kept;

impl Publisher for Kept {
    async fn publish(&self, _: &'static str, _: &Alert) -> Result<(), String> {
        Ok(())
    }
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Judges events as `check` does.
fn judge(events: &[Vec<u8>], facts: &Path) -> Vec<Alert> {
    let surroundings = Surroundings::new(time("2026-06-01T00:00:00Z"));
    let mut activities: Vec<_> =
        events.iter().flat_map(|event| source::read_bytes(event, &surroundings).activities).collect();
    activities.sort_by_key(|activity| activity.time);
    let recorded = Recorded::open(facts).unwrap();
    let history = InMemory::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut alerts = Vec::new();
    for activity in activities {
        let now = activity.time;
        let pipeline = Pipeline {
            policy: Policy::bundled(),
            policy_note: None,
            lookup: &recorded,
            store: Some(&history),
            publisher: &Kept,
            token: "test",
            deadline: now + TimeDelta::minutes(1),
            warm_up: false,
            now: &move || now,
        };
        let processed = runtime.block_on(pipeline.process(Arc::new(activity))).unwrap();
        let told = processed.alerts.into_iter().filter(|(_, fate)| *fate == Fate::Published);
        alerts.extend(told.map(|(alert, _)| alert));
    }
    alerts
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Every sample event.
fn samples() -> Vec<Alert> {
    let mut events = Vec::new();
    for folder in [folder("events"), folder("events/chains")] {
        let mut paths: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let files = paths.into_iter().filter(|path| {
            path.extension().is_some_and(|kind| kind == "json" || kind == "jsonl" || kind == "gz")
        });
        events.extend(files.map(|path| std::fs::read(path).unwrap()));
    }
    judge(&events, &folder("events/facts"))
}

fn summary() -> Summary {
    let policy = PolicyText { name: "the built-in policy".to_owned(), yaml: Policy::bundled().to_yaml() };
    Summary {
        sources: vec!["events/".to_owned()],
        files: 190,
        bytes: 412_000,
        records: 1_204,
        activities: 260,
        ..Summary::new(time("2026-06-01T08:00:00Z"), policy)
    }
}

fn page(alerts: &[Alert], summary: &Summary, bounds: Bounds) -> String {
    let mut report = Report::new(bounds);
    for alert in alerts {
        report.add(alert);
    }
    let mut page = Vec::new();
    report.write(&mut page, summary).unwrap();
    String::from_utf8(page).unwrap()
}

/// Where a page may be looked at after the tests.
fn kept(name: &str, page: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, page).unwrap();
    path
}

/// What would run if a page let it. Whatever runs leaves its mark on the page.
const PAYLOADS: [&str; 6] = [
    "</code></pre></script><script>document.documentElement.dataset.ran='script'</script>",
    "\"><img src=x onerror=\"document.documentElement.dataset.ran='image'\">",
    "' autofocus onfocus='document.documentElement.dataset.ran=1' x='",
    "<svg/onload=document.documentElement.dataset.ran='svg'>",
    "<a id=filters href=javascript:document.documentElement.dataset.ran='link'>x</a>",
    "<meta http-equiv=refresh content=\"0;url=https://attacker.example/\"><base href=https://attacker.example/><style>*{display:none}</style>",
];

/// Events with a payload wherever an attacker can put one.
fn hostile() -> Vec<Alert> {
    let mut events = Vec::new();
    for (number, payload) in PAYLOADS.into_iter().enumerate() {
        let identity = json!({
            "type": "AssumedRole", "accountId": "111122223333", "principalId": format!("AROA:{payload}"),
            "arn": format!("arn:aws:sts::111122223333:assumed-role/{payload}/{payload}"),
            "sessionContext": {"sessionIssuer": {
                "type": "Role", "userName": payload, "arn": format!("arn:aws:iam::111122223333:role/{payload}"),
            }, "sourceIdentity": payload},
        });
        let common = json!({
            "eventVersion": "1.11", "eventTime": format!("2026-03-07T02:{number:02}:00Z"), "userIdentity": identity,
            "awsRegion": payload, "recipientAccountId": payload, "sourceIPAddress": payload, "userAgent": payload,
            "eventType": "AwsApiCall", "readOnly": false,
        });
        let push = json!({
            "eventSource": "ecr.amazonaws.com", "eventName": "PutImage", "eventID": format!("push-{payload}"),
            "requestParameters": {"repositoryName": payload, "imageTag": payload, "registryId": payload},
            "responseElements": {"image": {"repositoryName": payload, "registryId": payload,
                "imageId": {"imageTag": payload, "imageDigest": payload}}},
        });
        let launch = json!({
            "eventSource": "ec2.amazonaws.com", "eventName": "RunInstances", "eventID": format!("launch-{payload}"),
            "errorCode": "Client.UnauthorizedOperation", "errorMessage": payload,
            "requestParameters": {"instancesSet": {"items": [{"imageId": payload, "minCount": 1, "maxCount": 900}]},
                "instanceType": payload},
        });
        for event in [push, launch] {
            let mut record = common.as_object().unwrap().clone();
            record.extend(event.as_object().unwrap().clone());
            events.push(Value::Object(record).to_string().into_bytes());
        }
    }
    let nothing = tempfile::tempdir().unwrap();
    judge(&events, nothing.path())
}

fn hostile_summary() -> Summary {
    let everything = PAYLOADS.join("\n");
    Summary {
        sources: PAYLOADS.map(str::to_owned).to_vec(),
        unread_total: 6,
        unread: PAYLOADS.map(|it| Unread { place: it.to_owned(), reason: it.to_owned() }).to_vec(),
        unjudged: PAYLOADS
            .map(|it| Unjudged {
                image: it.to_owned(),
                region: it.to_owned(),
                launches: 1,
                first: time("2026-03-01T00:00:00Z"),
                last: time("2026-03-01T00:00:00Z"),
            })
            .to_vec(),
        unjudged_command: Some(everything.clone()),
        notes: PAYLOADS.map(str::to_owned).to_vec(),
        policy: PolicyText { name: everything.clone(), yaml: everything },
        ..summary()
    }
}

const MARK: &str = "return document.documentElement.dataset.ran ?? null";
const SHOWN: &str =
    "return [...document.querySelectorAll('#list > li')].filter(item => item.checkVisibility()).length";

#[test]
fn what_attackers_write_cannot_run() {
    let alerts = hostile();
    assert!(alerts.len() >= 2 * PAYLOADS.len(), "every event is told: {}", alerts.len());
    let text = page(&alerts, &hostile_summary(), Bounds::default());
    let path = kept("report-hostile.html", &text);
    let Some(browser) = Browser::open(&path, &[]) else { return };
    // The page's own script ran, so what is not there was refused.
    browser.wait("return document.getElementById('shown').textContent.endsWith(' shown')");
    browser.run("document.querySelectorAll('details').forEach(it => { it.open = true })");
    browser.run("document.querySelectorAll('#list li, section *').forEach(it => it.dispatchEvent(new Event('focus')))");
    assert_eq!(browser.run(MARK), Value::Null);
    let foreign = "return document.querySelectorAll('img, iframe, object, embed, base, form:not(#filters), \
                   meta[http-equiv=refresh], body script:not(:last-of-type), main style, main svg:not(.chart svg), \
                   [onerror], [onload], [onfocus], a[href^=\"javascript:\"]').length";
    assert_eq!(browser.run(foreign), json!(0), "text became markup");
    assert_eq!(browser.complaints(), Vec::<String>::new(), "nothing even tried");
    let text = browser.run("return document.body.innerText");
    assert!(text.as_str().unwrap().contains("onerror="), "it is shown as what it is");
}

#[test]
fn the_browser_tells_when_something_ran() {
    let path = kept("report-control.html", &format!("<!doctype html><body>{}", PAYLOADS[1]));
    let Some(browser) = Browser::open(&path, &[]) else { return };
    browser.wait("return document.documentElement.dataset.ran === 'image'");
}

#[test]
fn markup_that_got_in_would_be_refused() {
    // Should an escape ever be forgotten, the page's security policy stands behind it.
    let text = page(&samples(), &summary(), Bounds::default());
    let broken = text.replacen("</main>", &format!("{}{}</main>", PAYLOADS[0], PAYLOADS[1]), 1);
    let path = kept("report-broken.html", &broken);
    let Some(browser) = Browser::open(&path, &[]) else { return };
    browser.wait("return document.getElementById('shown').textContent.endsWith(' shown')");
    let refused = browser.complaints();
    assert!(refused.iter().any(|line| line.contains("Content Security Policy")), "{refused:?}");
    assert_eq!(browser.run(MARK), Value::Null);
}

#[test]
fn filters_narrow_the_list_by_keyboard_alone() {
    let alerts = samples();
    let path = kept("report.html", &page(&alerts, &sample_summary(), Bounds::default()));
    let Some(browser) = Browser::open(&path, &["--window-size=1300,1000"]) else { return };
    let all = browser.run(SHOWN).as_u64().unwrap();
    assert!(all > 30, "{all}");
    browser.press("/quietharbor");
    browser
        .wait(&format!("{SHOWN} < {all} && document.getElementById('shown').textContent.includes(' of ')"));
    let some = browser.run(SHOWN).as_u64().unwrap();
    assert!(some > 0, "the search finds what stands in closed alerts too");
    let fits = "return [...document.querySelectorAll('#list > li')].filter(item => item.checkVisibility())\
                .every(item => item.textContent.includes('quietharbor'))";
    assert_eq!(browser.run(fits), json!(true));
    browser.press("\u{e00c}");
    browser.wait(&format!("{SHOWN} === {all}"));
    // To the first alert, down one, and open it.
    browser.run("document.querySelector('#list summary').focus()");
    browser.press("\u{e015}\u{e006}");
    browser.wait("return document.querySelector('#list > li:nth-child(2) > details').open");
    assert_eq!(
        browser.run("return document.querySelector('#list > li:first-child > details').open"),
        json!(false)
    );
}

#[test]
fn filters_and_order_agree_with_the_alerts() {
    let alerts = samples();
    let path = kept("report-filters.html", &page(&alerts, &sample_summary(), Bounds::default()));
    let Some(browser) = Browser::open(&path, &["--window-size=1300,1000"]) else { return };
    let threads = |wanted: &dyn Fn(&Alert) -> bool| {
        let uids: std::collections::BTreeSet<String> =
            alerts.iter().filter(|alert| wanted(alert)).map(Alert::thread_uid).collect();
        json!(uids.len())
    };
    assert_eq!(browser.run(SHOWN), threads(&|_| true));
    let choose = |id: &str, value: &str| {
        browser.run(&format!(
            "const it = document.getElementById('{id}'); it.value = '{value}'; \
             it.dispatchEvent(new Event('change', {{bubbles: true}}))"
        ));
    };
    choose("detection", "machine-image-not-approved");
    let not_approved =
        |alert: &Alert| alert.findings.iter().any(|found| found.detection.id == "machine-image-not-approved");
    assert_eq!(browser.run(SHOWN), threads(&not_approved));
    choose("detection", "");
    choose("account", "111122223333");
    assert_eq!(browser.run(SHOWN), threads(&|alert| alert.activity.account == "111122223333"));
    choose("account", "");
    browser.click("input[value=critical]");
    let severest = "return [...document.querySelectorAll('#list > li')].filter(item => item.checkVisibility())\
                    .every(item => item.querySelector('details').dataset.severity !== 'critical')";
    assert_eq!(browser.run(severest), json!(true));
    browser.click("button[type=reset]");
    browser.wait(&format!("{SHOWN} === {}", threads(&|_| true)));
    choose("order", "old");
    let sorted = "const times = [...document.querySelectorAll('#list > li > details')].map(it => Number(it.dataset.time)); \
                  return times.every((time, at) => at === 0 || times[at - 1] <= time)";
    assert_eq!(browser.run(sorted), json!(true));
}

#[test]
fn dark_light_narrow_and_without_script_all_can_be_read() {
    let path = kept("report-looks.html", &page(&samples(), &sample_summary(), Bounds::default()));
    // WCAG's contrast of each text with what is behind it.
    let faint = r#"
        const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
        const read = (layers) => {
          canvas.clearRect(0, 0, 1, 1);
          for (const colour of layers) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
          return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
        };
        const light = (rgb) => {
          const [r, g, b] = rgb.map(c => c / 255).map(c => c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
          return .2126 * r + .7152 * g + .0722 * b;
        };
        const faint = [];
        for (const it of document.querySelectorAll('body *')) {
          if (!it.checkVisibility() || it.closest('svg, .skip') || ![...it.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
          const layers = [];
          for (let at = it; at; at = at.parentElement) layers.unshift(getComputedStyle(at).backgroundColor);
          const behind = read(layers);
          const front = read([...layers, getComputedStyle(it).color]);
          const [a, b] = [light(behind), light(front)].sort((a, b) => b - a);
          const contrast = (a + .05) / (b + .05);
          if (contrast < 4.5) faint.push(`${it.tagName}.${it.className} ${contrast.toFixed(2)}`);
        }
        return [...new Set(faint)];
    "#;
    let wide = "return document.documentElement.scrollWidth - innerWidth";
    for (name, arguments, dark) in [
        ("light", ["--window-size=1300,1500", "--force-device-scale-factor=1"], false),
        ("dark", ["--window-size=1300,1500", "--blink-settings=preferredColorScheme=0"], true),
        ("narrow", ["--window-size=500,1500", "--force-device-scale-factor=1"], false),
        ("no-script", ["--window-size=1300,1500", "--blink-settings=scriptEnabled=false"], false),
    ] {
        let Some(browser) = Browser::open(&path, &arguments) else { return };
        if name == "no-script" {
            // Neither does the driver's own script run then; what it looks like is kept.
            browser.picture(&path.with_file_name(format!("report-{name}.png")));
            continue;
        }
        let scheme = browser.run("return matchMedia('(prefers-color-scheme: dark)').matches");
        assert_eq!(scheme, json!(dark), "{name}");
        browser.picture(&path.with_file_name(format!("report-{name}.png")));
        browser.run("document.querySelectorAll('#list > li:nth-child(-n+12) details').forEach(it => { it.open = true })");
        assert_eq!(browser.run(faint), json!([]), "{name}: text that is hard to read");
        assert!(browser.run(wide).as_i64().unwrap() <= 0, "{name}: the page scrolls sideways");
        assert_eq!(browser.complaints(), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn everything_is_on_the_page_before_any_script_runs() {
    let alerts = samples();
    let text = page(&alerts, &sample_summary(), Bounds::default());
    for alert in &alerts {
        assert!(text.contains(&alert.thread_uid()) && text.contains(&alert.message_uid()));
        for finding in &alert.findings {
            assert!(text.contains(finding.detection.id));
        }
    }
    for shown in
        ["no eventName", "ami-029eb80bc237bec6f", "--include-deprecated", "minimum_severity", "events/"]
    {
        assert!(text.contains(shown), "{shown}");
    }
    assert!(text.contains("<form id=\"filters\" class=\"filters\" hidden>"), "filters only where they work");
    for fetched in ["src=\"", "<link", "@import", "url("] {
        assert!(!text.contains(fetched), "the page would load something: {fetched}");
    }
}

#[test]
fn a_page_about_thousands_of_alerts_says_what_it_leaves_out() {
    let template = samples();
    let mut report = Report::new(Bounds { threads: 100, bytes: 24 << 20 });
    let mut total = 0;
    for round in 0..60_u32 {
        for alert in &template {
            let mut alert = alert.clone();
            alert.window_start += TimeDelta::days(i64::from(round));
            let mut activity = alert.activity.as_ref().clone();
            activity.time += TimeDelta::days(i64::from(round));
            alert.activity = Arc::new(activity);
            report.add(&alert);
            total += 1;
        }
    }
    let mut text = Vec::new();
    report.write(&mut text, &summary()).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text.matches("<li id=\"t-").count(), 100);
    assert!(text.contains("This list holds the 100 most severe threads"));
    let counted = format!("{},{:03} alerts in ", total / 1000, total % 1000);
    assert!(text.contains(&counted), "the heading counts every alert: {counted}");
    assert!(!text.contains("data-severity=\"low\""), "the least severe are left out first");
    let narrow = Bounds { threads: 2_000, bytes: 200_000 };
    let small = page(&template, &summary(), narrow);
    assert!(small.len() < 500_000, "{} bytes", small.len());
    assert!(small.contains("most severe threads"));
}

#[test]
fn an_archive_without_alerts_makes_a_page_too() {
    let text = page(&[], &summary(), Bounds::default());
    assert!(text.contains("<h1>No alerts</h1>") && text.contains("1,204 records read from 190 files"));
    let path = kept("report-empty.html", &text);
    let Some(browser) = Browser::open(&path, &[]) else { return };
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

fn sample_summary() -> Summary {
    Summary {
        unread_total: 1,
        unread: vec![Unread {
            place: "events/broken.json, record 7".to_owned(),
            reason: "no eventName".to_owned(),
        }],
        unjudged: vec![Unjudged {
            image: "ami-029eb80bc237bec6f".to_owned(),
            region: "eu-central-1".to_owned(),
            launches: 1_214,
            first: time("2026-03-01T00:00:00Z"),
            last: time("2026-05-01T00:00:00Z"),
        }],
        unjudged_command: Some(
            "aws ec2 describe-images --region eu-central-1 --include-deprecated --image-ids ami-029eb80bc237bec6f"
                .to_owned(),
        ),
        ..summary()
    }
}
