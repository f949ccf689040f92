//! No client gets all, a newcomer finds room, and all is released in the end.

use proptest::prelude::*;

use super::*;

const TOTAL: u64 = 1 << 20;

fn owner(client: u8, site: u8) -> Owner {
    let client = Client::new(std::net::Ipv4Addr::new(192, 0, 2, client).into());
    Owner {
        party: Party::Client(client),
        site: SiteKey::of(&format!("site {site}")),
    }
}

use crate::limits::rate::Client;

/// Takes in steps of `step` until refused.
fn fill(part: &mut Part, step: u64) -> Over {
    loop {
        if let Err(over) = part.grow(step) {
            return over;
        }
    }
}

#[test]
fn one_client_gets_half_and_many_leave_a_part_for_a_newcomer() {
    for clients in 1_u8..40 {
        let budget = Arc::new(Budget::new(TOTAL));
        let mut parts: Vec<_> = (0..clients)
            .map(|client| Part::new(&budget, owner(client, client)))
            .collect();
        for _ in 0..TOTAL / 1024 {
            for part in &mut parts {
                let _ = part.grow(1024);
            }
        }
        let expected = TOTAL / (u64::from(clients) + 1);
        for part in &parts {
            let least = expected - expected / 10 - 2048;
            assert!(
                (least..=expected + 1024).contains(&part.used()),
                "{clients}: {} of {expected}",
                part.used()
            );
        }
        let mut newcomer = Part::new(&budget, owner(200, 200));
        fill(&mut newcomer, 1024);
        assert!(newcomer.used() >= expected / 2 - 2048, "{clients}");
        drop((parts, newcomer));
        assert_eq!(budget.used(), 0);
        assert!(
            budget
                .holders
                .shards
                .iter()
                .all(|it| it.lock().unwrap().is_empty())
        );
    }
}

#[test]
fn a_site_with_many_clients_leaves_a_quarter_to_others() {
    let budget = Arc::new(Budget::new(TOTAL));
    let mut parts: Vec<_> = (0..200)
        .map(|client| Part::new(&budget, owner(client, 1)))
        .collect();
    let mut last = None;
    for part in &mut parts {
        last = Some(fill(part, 512));
    }
    assert_eq!(last, Some(Over::Site));
    let free = TOTAL - budget.used();
    assert!(free >= TOTAL / 4 - 4096, "{free}");
    let mut other = Part::new(&budget, owner(201, 2));
    fill(&mut other, 512);
    assert!(other.used() >= TOTAL / 8 - 4096);
}

#[test]
fn what_is_too_much_changes_nothing() {
    let budget = Arc::new(Budget::new(1000));
    let mut part = Part::new(&budget, owner(1, 1));
    assert_eq!(part.grow(1001), Err(Over::Total));
    assert_eq!(part.grow(501), Err(Over::Client));
    assert_eq!((part.used(), budget.used()), (0, 0));
    assert_eq!(part.grow(500), Ok(()));
    assert_eq!(budget.refused(), 2);
    part.shrink(200);
    assert_eq!((part.used(), budget.used()), (300, 300));
    budget.set_total(100);
    assert_eq!(part.grow(1), Err(Over::Total));
    part.shrink(10_000);
    assert_eq!((part.used(), budget.used()), (0, 0));
}

#[test]
fn connections_without_an_address_are_parties_of_their_own() {
    let budget = Arc::new(Budget::new(1000));
    let of = |number| Owner {
        party: Party::Connection(number),
        site: SiteKey::default(),
    };
    let mut first = Part::new(&budget, of(1));
    fill(&mut first, 10);
    assert_eq!(first.used(), 500);
    let mut second = Part::new(&budget, of(2));
    fill(&mut second, 10);
    assert_eq!(second.used(), 250);
}

proptest! {
    /// After any grants and releases the sums agree, and no more than the total is granted.
    #[test]
    fn the_sums_agree(
        total in 1_u64..2_000_000,
        steps in proptest::collection::vec((0_u8..6, 0_u8..3, 0_u64..100_000, any::<bool>()), 1..200),
    ) {
        let budget = Arc::new(Budget::new(total));
        let mut parts: HashMap<(u8, u8), Part> = HashMap::new();
        for (client, site, amount, grows) in steps {
            let part = parts
                .entry((client, site))
                .or_insert_with(|| Part::new(&budget, owner(client, site)));
            if grows {
                let _ = part.grow(amount);
            } else {
                part.shrink(amount);
            }
            let granted: u64 = parts.values().map(|part| part.granted).sum();
            prop_assert_eq!(budget.used(), granted);
            prop_assert!(granted <= total);
            prop_assert!(parts.values().all(|part| part.used <= part.granted));
        }
        parts.clear();
        prop_assert_eq!(budget.used(), 0);
    }
}
