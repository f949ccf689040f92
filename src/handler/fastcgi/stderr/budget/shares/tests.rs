//! Floods of one site and of many, beside a quiet one.

use proptest::prelude::*;

use super::super::tests::message;
use super::*;

fn site(number: usize) -> Arc<str> {
    format!("{number}.example").into()
}

/// Returns the number of admitted messages, of 2000 of a site.
fn flood(shares: &mut Shares, site: &Arc<str>, text: &str, now: Instant) -> usize {
    let message = message(text);
    (0..2000)
        .filter(|_| shares.admits(site, &message, now))
        .count()
}

const ERROR: &str = "PHP Fatal error:  e";
const NOTICE: &str = "PHP Notice:  n";

#[test]
fn one_site_has_three_times_what_it_leaves_and_the_next_of_that() {
    let now = Instant::now();
    let mut shares = Shares::new(1000, 200);
    let mut errors = |number| flood(&mut shares, &site(number), ERROR, now);
    assert_eq!([0, 1, 2].map(&mut errors), [656, 164, 41]);
    let mut shares = Shares::new(1000, 200);
    let mut notices = |number| flood(&mut shares, &site(number), NOTICE, now);
    assert_eq!([0, 1, 2].map(&mut notices), [605, 186, 58]);
    let mut shares = Shares::new(1000, 200);
    let mut of_one = |text| flood(&mut shares, &site(0), text, now);
    // Room is kept for why a script died.
    assert_eq!([NOTICE, ERROR].map(&mut of_one), [605, 51]);
}

#[test]
fn one_flood_keeps_no_quiet_site_out() {
    for (texts, sites) in [
        ([ERROR, NOTICE], 1),
        ([NOTICE, ERROR], 1),
        ([ERROR, ERROR], 20),
    ] {
        let mut now = Instant::now();
        let mut shares = Shares::new(1000, 200);
        // Five a second, half of what each of 21 would have if all had the same.
        for _ in 0..100 {
            now += Duration::from_millis(200);
            for number in 0..sites {
                flood(&mut shares, &site(number), texts[0], now);
            }
            let quiet = message(texts[1]);
            assert!(
                shares.admits(&site(99), &quiet, now),
                "{texts:?}, {sites} sites"
            );
        }
    }
}

#[test]
fn as_much_comes_free_as_a_second_has() {
    let mut now = Instant::now();
    let mut shares = Shares::new(1000, 200);
    let burst = flood(&mut shares, &site(0), ERROR, now);
    let mut later = 0;
    for _ in 0..1000 {
        now += Duration::from_millis(10);
        later += flood(&mut shares, &site(0), ERROR, now);
    }
    assert!((1900..=2000).contains(&later), "{burst} and {later}");
    now += Duration::from_secs(60);
    assert_eq!(flood(&mut shares, &site(0), ERROR, now), burst);
}

#[test]
fn what_was_dropped_is_each_sites_own() {
    let now = Instant::now();
    let mut shares = Shares::new(8, 0);
    let later = now + Duration::from_secs(5);
    let admitted = [0, 1].map(|number| flood(&mut shares, &site(number), ERROR, now));
    assert!(shares.dropped(Duration::from_secs(6), later).is_empty());
    let dropped = shares.dropped(Duration::from_secs(5), later);
    let told = dropped
        .iter()
        .map(|(site, dropped)| (&**site, dropped.messages));
    let lost = admitted.map(|admitted| 2000 - u64::try_from(admitted).unwrap());
    let expected = [("0.example", lost[0]), ("1.example", lost[1])];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    assert!(shares.dropped(Duration::ZERO, later).is_empty());
}

#[test]
fn counts_that_may_not_be_told_go_on() {
    let now = Instant::now();
    let mut shares = Shares::new(4, 0);
    let dropped = Dropped {
        messages: 7,
        bytes: 70,
        since: Some(now),
    };
    let count = (0..5)
        .filter(|_| shares.admits_count(&site(0), dropped, now))
        .count();
    let told = shares.dropped(Duration::ZERO, now);
    let messages = u64::try_from(5 - count).unwrap() * 7;
    assert!((1..5).contains(&count));
    assert_eq!((told[0].1.messages, told[0].1.since), (messages, Some(now)));
}

proptest! {
    /// The sum of all shares is the total, never above the size; empty shares are removed.
    #[test]
    fn the_sum_is_that_of_the_parts(
        asked in prop::collection::vec((0..6_usize, 0..3000_usize, 0..3000_u64), 0..80),
    ) {
        let mut now = Instant::now();
        let mut shares = Shares::new(20, 4);
        for (number, length, pause) in asked {
            now += Duration::from_millis(pause);
            shares.admits(&site(number), &message(&"x".repeat(length + 1)), now);
            let held: u64 = shares.each.values().map(|share| share.held).sum();
            prop_assert_eq!(held, shares.held);
            prop_assert!(held <= shares.size);
        }
        shares.dropped(Duration::ZERO, now);
        shares.free(now + Duration::from_secs(60));
        prop_assert!(shares.each.is_empty() && shares.held == 0);
    }
}
