use proptest::prelude::*;

use super::super::{Fault, Faults, JobName, Jobs, Misfire, SHIPPED_JOBS, When};

fn faults(text: &str) -> Vec<String> {
    match Jobs::parse("jobs.toml", text) {
        Ok(_) => vec![],
        Err(faults) => faults.as_slice().iter().map(ToString::to_string).collect(),
    }
}

/// A sound file around the lines of one job.
fn with_job(lines: &str) -> String {
    format!(
        "late_after = \"2m\"\n\
         [jobs.other]\npipeline = \"p\"\non_demand = true\ntimeout = \"1m\"\nretries = 0\n\
         overlap = \"skip\"\nmisfire = \"none\"\npriority = 1\n\
         [jobs.one]\npipeline = \"p\"\ntimeout = \"1m\"\nretries = 0\noverlap = \"skip\"\n\
         misfire = \"none\"\npriority = 1\n{lines}\n"
    )
}

/// The line on which the lines of [`with_job`] begin.
const FIRST: usize = 17;

#[test]
fn the_shipped_jobs_are_sound() {
    let jobs = Jobs::parse("jobs.toml", SHIPPED_JOBS).unwrap_or_else(|faults| panic!("{faults}"));
    let names: Vec<_> = jobs.iter().map(|job| job.name.as_str()).collect();
    let expected = [
        "close",
        "flush",
        "futures_overnight",
        "late",
        "marks",
        "models",
        "morning",
        "reconcile",
        "reference",
        "report",
        "sweep",
        "upkeep",
    ];
    assert_eq!(names, expected);
    let whens: Vec<_> = jobs.iter().map(|job| format!("{}: {}", job.name, job.when)).collect();
    let expected = [
        "close: XNYS close+20m",
        "flush: every 30m from XNYS open+30m to close+30m",
        "futures_overnight: every 1h from CME open to close outside XNYS",
        "late: XNYS close+5h",
        "marks: XNYS close-30s",
        "models: every 1h from XNYS open+1h to close",
        "morning: OPT open-15m",
        "reconcile: on demand",
        "reference: OPT open-30m",
        "report: on demand",
        "sweep: every 5m from XNYS open to close",
        "upkeep: XNYS close+330m",
    ];
    assert_eq!(whens, expected);
    assert_eq!(jobs.named("sweep").unwrap().misfire, Misfire::None);
}

#[test]
fn all_faults_are_told_at_once_each_with_place_and_remedy() {
    let text = r#"late_after = "soon"
colour = "red"
[defaults]
timezone = "New York"
retries = 11
overlap = "cancel"
[jobs.Sweep]
pipeline = 3
every = "5m"
cron = "* * * * *"
calendar = "NYSE"
[jobs.idle]
pipeline = "idle"
timeout = "1m"
misfire = "all"
priority = 1
"#;
    let expected = [
        "jobs.toml:1: late_after: does not understand `soon`; write a whole number and its unit, \
         such as \"90s\", \"5m\" or \"1h\"",
        "jobs.toml:2: colour: is not known here; remove it or write one of defaults, jobs, \
         late_after",
        "jobs.toml:4: defaults.timezone: does not understand `New York`; write a name of the IANA \
         database, such as \"America/New_York\"",
        "jobs.toml:5: defaults.retries: 11 is not between 0 and 10; write the number of attempts \
         after the first",
        "jobs.toml:6: defaults.overlap: does not understand `cancel`; write \"skip\" or \"queue\"",
        "jobs.toml:7: jobs.Sweep: `Sweep` is not a name of a job; write lower-case letters, digits \
         and _, a letter first, at most 40 of them",
        "jobs.toml:7: jobs.Sweep.misfire: is missing; write \"none\", \"latest\" or \"all\"",
        "jobs.toml:7: jobs.Sweep.priority: is missing; write a whole number, smaller goes first",
        "jobs.toml:7: jobs.Sweep.timeout: is missing; write a whole number and its unit, such as \
         \"90s\", \"5m\" or \"1h\"",
        "jobs.toml:8: jobs.Sweep.pipeline: is written as an integer; write a text in quotes",
        "jobs.toml:9: jobs.Sweep.every: says when it runs a second time, beside `cron`; keep one \
         of them",
        "jobs.toml:12: jobs.idle.catchup_window: is missing; write how old a missed occurrence may \
         be to run, such as \"10m\"",
        "jobs.toml:12: jobs.idle.cron: nothing says when it runs; write one of cron, at, every, \
         on_demand = true or trigger_after",
    ];
    assert_eq!(faults(text), expected);
}

#[test]
fn each_way_of_saying_when_is_checked() {
    let cases = [
        ("cron = \"* * * *\"\ntimezone = \"UTC\"", "cron", "does not understand"),
        ("cron = \"0 0 30 2 *\"\ntimezone = \"UTC\"", "cron", "a time that never comes"),
        ("cron = \"0 * * * * *\"\ntimezone = \"UTC\"", "cron", "does not understand"),
        ("cron = \"0 9 * * *\"", "timezone", "is missing"),
        ("at = \"open\"", "calendar", "is missing"),
        ("at = \"noon\"\ncalendar = \"XNYS\"", "at", "does not understand `noon`"),
        ("at = \"open+25h\"\ncalendar = \"XNYS\"", "at", "does not understand `open+25h`"),
        ("at = \"open\"\ncalendar = \"XNYS\"\nto = \"close\"", "to", "has no effect"),
        ("on_demand = false", "on_demand", "`false` says nothing"),
        ("on_demand = true\ntimezone = \"UTC\"", "timezone", "has no effect"),
        ("every = \"5m\"\ncalendar = \"CME\"\nfrom = \"open\"", "to", "is missing"),
        (
            "every = \"0m\"\ncalendar = \"CME\"\nfrom = \"open\"\nto = \"close\"",
            "every",
            "does not understand `0m`",
        ),
        (
            "every = \"5m\"\ncalendar = \"CME\"\nfrom = \"open+5m\"\nto = \"open\"",
            "to",
            "open is not after from, open+5m",
        ),
        ("trigger_after = [\"nobody\"]", "trigger_after", "there is no job `nobody`"),
        ("trigger_after = [\"one\"]", "trigger_after", "`one` would start itself"),
        ("trigger_after = []", "trigger_after", "names no job"),
        ("trigger_after = [3]", "trigger_after", "is written as an array"),
        ("on_demand = true\nspeed = 3", "speed", "is not known here"),
        ("on_demand = true\nbackoff = { first = \"9s\" }", "backoff.max", "is missing"),
        (
            "on_demand = true\nbackoff = { first = \"9s\", max = \"3s\" }",
            "backoff",
            "the first pause 9s is longer than the longest, 3s",
        ),
    ];
    for (lines, key, problem) in cases {
        let Err(faults) = Jobs::parse("jobs.toml", &with_job(lines)) else {
            panic!("{lines}: no fault")
        };
        let [Fault { key: found, problem: said, line, remedy, .. }] = faults.as_slice() else {
            panic!("{lines}: not one fault: {faults}")
        };
        assert_eq!(*found, format!("jobs.one.{key}"), "{lines}");
        assert!(said.contains(problem), "{lines}: {said}");
        assert!(!remedy.is_empty());
        assert!(*line >= 10 && *line < FIRST + 5, "{lines}: line {line}");
    }
}

#[test]
fn sound_jobs_pass() {
    for lines in [
        "cron = \"*/5 9-16 * * 1-5\"\ntimezone = \"America/New_York\"\ncalendar = \"XNYS\"",
        "cron = \"0 3 * * SUN\"\ntimezone = \"UTC\"",
        "trigger_after = [\"other\"]",
        "on_demand = true\ntrigger_after = [\"other\"]",
        "at = \"close-10m\"\ncalendar = \"CBOE\"",
    ] {
        assert_eq!(faults(&with_job(lines)), Vec::<String>::new(), "{lines}");
    }
}

#[test]
fn a_circle_over_several_jobs_is_found() {
    let job = |name: &str, after: &str| {
        format!(
            "[jobs.{name}]\npipeline = \"p\"\ntimeout = \"1m\"\nretries = 0\noverlap = \"skip\"\n\
             misfire = \"none\"\npriority = 1\ntrigger_after = [\"{after}\"]\n"
        )
    };
    let text = ["late_after = \"1m\"\n", &job("a", "b"), &job("b", "c"), &job("c", "a")].concat();
    assert_eq!(faults(&text).len(), 3);
}

#[test]
fn every_fault_of_syntax_is_told() {
    let text = "late_after = \"2m\"\n[jobs.a\npipeline = \"p\"\nx = = 3\n";
    let told = faults(text);
    assert!(told.iter().any(|fault| fault.starts_with("jobs.toml:2: (syntax)")), "{told:?}");
    assert!(told.iter().any(|fault| fault.starts_with("jobs.toml:4: (syntax)")), "{told:?}");
}

#[test]
fn pipelines_that_do_not_exist_are_told() {
    let jobs = Jobs::parse("jobs.toml", &with_job("trigger_after = [\"other\"]")).unwrap();
    assert!(jobs.check_pipelines(&["p".to_owned()].into()).is_ok());
    let faults = jobs.check_pipelines(&["q".to_owned()].into()).unwrap_err();
    let lines: Vec<_> = faults.as_slice().iter().map(|fault| (fault.line, &*fault.key)).collect();
    assert_eq!(lines, [(3, "jobs.other.pipeline"), (11, "jobs.one.pipeline")]);
}

#[test]
fn a_job_that_only_follows_has_no_times_of_its_own() {
    let jobs = Jobs::parse("jobs.toml", &with_job("trigger_after = [\"other\"]")).unwrap();
    let one = jobs.named("one").unwrap();
    assert_eq!(one.when, When::OnDemand);
    assert_eq!(one.trigger_after, [JobName::new("other").unwrap()].into());
}

#[test]
fn no_faults_is_not_an_error() {
    assert_eq!(Faults::of(vec![]), Ok(()));
}

proptest! {
    /// Whatever is written, the answer is jobs or at least one fault, never a panic.
    #[test]
    fn any_text_is_answered(
        cut in 0..SHIPPED_JOBS.len(),
        put in "[ -~\\n]{0,12}",
    ) {
        let cut = (0..=cut).rev().find(|at| SHIPPED_JOBS.is_char_boundary(*at)).unwrap();
        let text = [&SHIPPED_JOBS[..cut], &put, &SHIPPED_JOBS[cut..]].concat();
        if let Err(faults) = Jobs::parse("jobs.toml", &text) {
            prop_assert!(!faults.as_slice().is_empty());
        }
    }
}
