use std::sync::LazyLock;

use chrono_tz::America::New_York;
use proptest::prelude::*;

use super::*;
use crate::schedule::SHIPPED_JOBS;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

static CALENDAR: LazyLock<Arc<Calendar>> = LazyLock::new(|| Arc::new(Calendar::shipped().unwrap()));

/// An instant of New York time.
fn ny(text: &str) -> Timestamp {
    let local = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
    local.and_local_timezone(New_York).unwrap().with_timezone(&Utc)
}

fn planner(jobs: &str) -> Planner {
    let jobs = Jobs::parse("jobs.toml", jobs).unwrap_or_else(|faults| panic!("{faults}"));
    Planner::new(jobs, Arc::clone(&CALENDAR))
}

fn shipped() -> Planner {
    planner(SHIPPED_JOBS)
}

fn one_job(lines: &str) -> Planner {
    planner(&format!(
        "late_after = \"2m\"\n[jobs.one]\npipeline = \"p\"\ntimeout = \"1m\"\nretries = 0\n\
         overlap = \"skip\"\npriority = 1\n{lines}\n"
    ))
}

/// The New York times of one job's occurrences in a day of New York.
fn local_times(planner: &Planner, job: &str, day: &str) -> Vec<String> {
    let from = ny(&format!("{day} 00:00"));
    let next = from.with_timezone(&New_York).date_naive() + TimeDelta::days(1);
    let until = ny(&format!("{next} 00:00"));
    let all = planner.occurrences(from, until).unwrap();
    let of_job = all.iter().filter(|occurrence| occurrence.job.as_str() == job);
    of_job
        .map(|occurrence| {
            occurrence.scheduled_at.with_timezone(&New_York).format("%H:%M").to_string()
        })
        .collect()
}

#[test]
fn a_full_session_has_78_sweeps_in_each_half_of_the_year() {
    let planner = shipped();
    for day in ["2026-03-02", "2026-03-06", "2026-03-09", "2026-10-30", "2026-11-02"] {
        let sweeps = local_times(&planner, "sweep", day);
        assert_eq!(sweeps.len(), 78, "{day}");
        assert_eq!((&*sweeps[0], &*sweeps[77]), ("09:30", "15:55"), "{day}");
        assert_eq!(local_times(&planner, "reference", day), ["09:00"], "{day}");
        assert_eq!(local_times(&planner, "close", day), ["16:20"], "{day}");
    }
    // The same time of day is another instant after the change of the clocks.
    let first = |day: &str| {
        let all = planner.occurrences(ny(&format!("{day} 09:30")), ny(&format!("{day} 09:31")));
        all.unwrap()[0].scheduled_at
    };
    assert_eq!(first("2026-03-06"), at("2026-03-06T14:30:00Z"));
    assert_eq!(first("2026-03-09"), at("2026-03-09T13:30:00Z"));
    assert_eq!(first("2026-10-30"), at("2026-10-30T13:30:00Z"));
    assert_eq!(first("2026-11-02"), at("2026-11-02T14:30:00Z"));
}

#[test]
fn half_days_end_early_and_holidays_have_nothing() {
    let planner = shipped();
    for day in ["2026-11-27", "2026-12-24"] {
        let sweeps = local_times(&planner, "sweep", day);
        assert_eq!((sweeps.len(), &*sweeps[41]), (42, "12:55"), "{day}");
        assert_eq!(local_times(&planner, "close", day), ["13:20"], "{day}");
        assert_eq!(local_times(&planner, "flush", day).last().unwrap(), "13:00");
    }
    for day in ["2026-11-26", "2026-12-25", "2026-04-03", "2026-03-07", "2026-06-19"] {
        for job in ["sweep", "reference", "close", "flush", "models"] {
            assert_eq!(local_times(&planner, job, day), Vec::<String>::new(), "{job} {day}");
        }
    }
}

#[test]
fn bronze_is_flushed_each_half_hour_after_the_sweep() {
    let planner = shipped();
    let flushes = local_times(&planner, "flush", "2026-03-02");
    assert_eq!(flushes.len(), 13);
    assert_eq!((&*flushes[0], &*flushes[12]), ("10:00", "16:00"));
    let at_ten = planner.occurrences(ny("2026-03-02 10:00"), ny("2026-03-02 10:05")).unwrap();
    let names: Vec<_> = at_ten.iter().map(|occurrence| occurrence.job.as_str()).collect();
    assert_eq!(names, ["sweep", "flush"]);
    let models = local_times(&planner, "models", "2026-03-02");
    assert_eq!(models, ["10:30", "11:30", "12:30", "13:30", "14:30", "15:30"]);
}

#[test]
fn futures_are_taken_while_the_etfs_are_closed() {
    let planner = shipped();
    let monday: Vec<String> =
        (0..=9).chain([16]).chain(18..=23).map(|h| format!("{h:02}:00")).collect();
    assert_eq!(local_times(&planner, "futures_overnight", "2026-03-02"), monday);
    // The evening before the clocks change back belongs to Monday and begins at 18:00 all the same.
    let sunday = ["18:00", "19:00", "20:00", "21:00", "22:00", "23:00"];
    assert_eq!(local_times(&planner, "futures_overnight", "2026-11-01"), sunday);
    assert_eq!(local_times(&planner, "futures_overnight", "2026-03-08"), sunday);
    // Friday evening is no session.
    let friday = local_times(&planner, "futures_overnight", "2026-03-06");
    assert_eq!(friday.last().unwrap(), "16:00");
}

#[test]
fn cron_follows_the_clock_on_the_wall_through_both_changes() {
    let cases = [
        // Pattern, day, New York times.
        ("0 9 * * *", "2026-03-08", vec!["09:00"]),
        ("0 9 * * *", "2026-11-01", vec!["09:00"]),
        // The hour that is skipped: a fixed time runs right after it, a repeated one goes on.
        ("30 2 * * *", "2026-03-08", vec!["03:00"]),
        ("0 */1 1-4 3 *", "2026-03-08", vec![]),
        ("*/30 1-3 * * *", "2026-03-08", vec!["01:00", "01:30", "03:00", "03:30"]),
        // The hour that comes twice: a fixed time runs once, a repeated one in real time.
        ("30 1 * * *", "2026-11-01", vec!["01:30"]),
        ("*/30 1 * * *", "2026-11-01", vec!["01:00", "01:30", "01:00", "01:30"]),
    ];
    for (pattern, day, expected) in cases {
        let planner = one_job(&format!(
            "cron = \"{pattern}\"\ntimezone = \"America/New_York\"\nmisfire = \"none\""
        ));
        assert_eq!(local_times(&planner, "one", day), expected, "{pattern} on {day}");
    }
}

#[test]
fn cron_keeps_to_the_session_dates_of_its_calendar() {
    let planner = one_job(
        "cron = \"0 18 * * *\"\ntimezone = \"America/New_York\"\ncalendar = \"XNYS\"\n\
         misfire = \"none\"",
    );
    let all = planner.occurrences(ny("2026-11-23 00:00"), ny("2026-11-30 00:00")).unwrap();
    let days: Vec<_> = all.iter().map(|one| one.scheduled_at.date_naive().to_string()).collect();
    assert_eq!(days, ["2026-11-23", "2026-11-24", "2026-11-25", "2026-11-27"]);
}

#[test]
fn what_is_next_is_found_over_a_long_weekend() {
    let planner = shipped();
    let next = planner.next(ny("2026-11-25 20:00"), 200).unwrap();
    let sweep = next.iter().find(|occurrence| occurrence.job.as_str() == "sweep").unwrap();
    assert_eq!(sweep.scheduled_at, ny("2026-11-27 09:30"));
    assert_eq!(next.len(), 200);
    let on_demand = one_job("on_demand = true\nmisfire = \"none\"");
    assert_eq!(on_demand.next(ny("2026-03-02 00:00"), 5).unwrap(), vec![]);
}

#[test]
fn beyond_the_calendar_there_is_an_error_not_silence() {
    let error = shipped().occurrences(ny("2040-01-03 00:00"), ny("2040-01-04 00:00")).unwrap_err();
    assert!(matches!(error, PlanError::Calendar { .. }), "{error}");
}

fn counts(planner: &Planner, watermark: &str, now: &str) -> (Vec<String>, Vec<MissedBecause>) {
    let due = planner.due(ny(watermark), ny(now)).unwrap();
    let local = |occurrence: &Occurrence| {
        occurrence.scheduled_at.with_timezone(&New_York).format("%H:%M").to_string()
    };
    let missed = due.missed.iter().map(|missed| missed.because).collect();
    (due.start.iter().map(local).collect(), missed)
}

#[test]
fn misfires_are_judged_by_the_jobs_own_word() {
    use MissedBecause::{NeverLate, Superseded, TooOld};
    let job = |misfire: &str| {
        one_job(&format!(
            "calendar = \"XNYS\"\nevery = \"10m\"\nfrom = \"open\"\nto = \"close\"\n{misfire}"
        ))
    };
    let none = job("misfire = \"none\"");
    let latest = job("misfire = \"latest\"\ncatchup_window = \"15m\"");
    let all = job("misfire = \"all\"\ncatchup_window = \"15m\"");
    let two = ("2026-03-02 09:25", "2026-03-02 09:51");
    assert_eq!(counts(&none, two.0, two.1), (vec!["09:50".into()], vec![NeverLate; 2]));
    assert_eq!(counts(&latest, two.0, two.1), (vec!["09:50".into()], vec![Superseded; 2]));
    let expected = (vec!["09:40".into(), "09:50".into()], vec![TooOld]);
    assert_eq!(counts(&all, two.0, two.1), expected);
    // Nothing on time: the latest runs late, if it is not too old.
    let expected = (vec!["09:40".to_owned()], vec![Superseded]);
    assert_eq!(counts(&latest, two.0, "2026-03-02 09:45"), expected);
    let (start, missed) = counts(&latest, "2026-03-02 15:45", "2026-03-02 16:30");
    assert_eq!((start, missed), (vec![], vec![TooOld]));
}

#[test]
fn a_clock_that_goes_back_repeats_nothing() {
    let due = shipped().due(ny("2026-03-02 10:00"), ny("2026-03-02 09:30")).unwrap();
    assert_eq!((due.start, due.missed), (vec![], vec![]));
    assert_eq!(due.watermark, ny("2026-03-02 10:00"));
}

#[test]
fn success_triggers_followers_at_the_same_instant() {
    let planner = planner(
        "late_after = \"2m\"\n[defaults]\ntimeout = \"1m\"\nretries = 0\noverlap = \"skip\"\n\
         misfire = \"none\"\n\
         [jobs.first]\npipeline = \"p\"\non_demand = true\npriority = 1\n\
         [jobs.b]\npipeline = \"p\"\ntrigger_after = [\"first\"]\npriority = 2\n\
         [jobs.a]\npipeline = \"p\"\ntrigger_after = [\"first\", \"b\"]\npriority = 3\n",
    );
    let first = planner.jobs().named("first").unwrap();
    let done = Occurrence::new(first, at("2026-03-02T21:20:00Z"));
    let due = planner.triggered_by(&done);
    let ids: Vec<_> = due.iter().map(|next| next.run_id().to_string()).collect();
    assert_eq!(ids, ["b-20260302T212000Z", "a-20260302T212000Z"]);
    assert_eq!(planner.triggered_by(&due[0]).len(), 1);
}

/// Minutes around both changes of the clocks, and odd seconds.
fn instants() -> impl Strategy<Value = Timestamp> {
    let near = |start: &str| {
        let start = at(start);
        (0i64..5 * 86_400).prop_map(move |seconds| start + TimeDelta::seconds(seconds))
    };
    let whole = |start: &str| {
        let start = at(start);
        (0i64..5 * 288).prop_map(move |steps| start + TimeDelta::minutes(5 * steps))
    };
    prop_oneof![
        near("2026-03-06T00:00:00Z"),
        near("2026-10-30T00:00:00Z"),
        whole("2026-03-06T00:00:00Z"),
        whole("2026-10-30T00:00:00Z"),
    ]
}

const MIXED: &str = r#"
late_after = "2m"
[defaults]
timezone = "America/New_York"
timeout = "1m"
retries = 0
overlap = "skip"
misfire = "latest"
catchup_window = "2h"
[jobs.fixed]
pipeline = "p"
cron = "30 1,2 * * *"
priority = 1
[jobs.repeated]
pipeline = "p"
cron = "*/15 * * * *"
priority = 2
[jobs.gated]
pipeline = "p"
cron = "*/5 9-16 * * 1-5"
calendar = "XNYS"
priority = 2
[jobs.session]
pipeline = "p"
calendar = "CME"
every = "7m"
from = "open-30m"
to = "close+30m"
outside = "OPT"
priority = 3
[jobs.once]
pipeline = "p"
calendar = "CBOE"
at = "close+12h"
priority = 3
"#;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// [a, b) and [b, c) together are [a, c), wherever b is.
    #[test]
    fn a_range_may_be_split_anywhere(mut cuts in proptest::array::uniform3(instants())) {
        cuts.sort();
        let [a, b, c] = cuts;
        let c = c.min(a + TimeDelta::days(5));
        let b = b.min(c);
        let planner = planner(MIXED);
        let mut parts = planner.occurrences(a, b).unwrap();
        parts.extend(planner.occurrences(b, c).unwrap());
        let whole = planner.occurrences(a, c).unwrap();
        prop_assert_eq!(&parts, &whole);
        prop_assert!(whole.is_sorted());
        let mut distinct = whole.clone();
        distinct.dedup();
        prop_assert_eq!(distinct.len(), whole.len());
    }

    /// Each occurrence is judged exactly once, however often and unevenly somebody looks.
    #[test]
    fn every_occurrence_is_judged_once(mut looks in proptest::collection::vec(instants(), 2..8)) {
        looks.sort();
        let first = looks[0];
        looks.retain(|look| *look - first < TimeDelta::days(5));
        let planner = planner(MIXED);
        let mut judged = Vec::new();
        let mut watermark = first;
        for now in looks {
            let due = planner.due(watermark, now).unwrap();
            judged.extend(due.start);
            judged.extend(due.missed.into_iter().map(|missed| missed.occurrence));
            watermark = due.watermark;
        }
        judged.sort();
        let all = planner.occurrences(first + TICK, watermark + TICK).unwrap();
        prop_assert_eq!(judged, all);
    }
}
