//! Sequences of events, and their effects.

use super::*;

const RAN: Duration = Duration::from_secs(100);

/// A state with one server that serves.
fn serving() -> State {
    let mut state = State::default();
    assert_eq!(
        state.on(Event::Begun),
        [Action::Spawn(Id(1), Intent::Start)]
    );
    assert_eq!(state.on(granted(1, &[])), [Action::Serve(Id(1))]);
    assert_eq!(state.on(Event::Serving(Id(1))), [Action::Enforce(Id(1))]);
    state
}

fn granted(id: u32, beyond: &[&str]) -> Event {
    Event::Granted {
        id: Id(id),
        beyond: beyond.iter().map(|reason| (*reason).to_owned()).collect(),
    }
}

fn asked(intent: Intent) -> Event {
    Event::Asked(Request::of(intent))
}

/// A reload that client 7 of the server 1 asks for.
fn asked_by_client(intent: Intent) -> Event {
    Event::Asked(Request {
        origin: CLIENT,
        intent,
    })
}

const CLIENT: Origin = Origin::Server(Id(1), 7);

fn ended(id: u32, code: u8) -> Event {
    Event::Ended {
        id: Id(id),
        how: format!("exit code {code}"),
        code,
        ran: RAN,
    }
}

/// The actions without log lines, which are for people.
fn on(state: &mut State, event: Event) -> Vec<Action> {
    let mut actions = state.on(event);
    actions.retain(|action| !matches!(action, Action::Log(..)));
    actions
}

fn finish(code: u8, is_killing: bool) -> Vec<Action> {
    vec![Action::Finish { code, is_killing }]
}

#[test]
fn a_reload_within_the_rights_is_swapped() {
    let mut state = serving();
    let spawn = [Action::Spawn(Id(2), Intent::Reload)];
    assert_eq!(on(&mut state, asked_by_client(Intent::Reload)), spawn);
    let swap = Action::Swap {
        from: Id(2),
        to: Id(1),
        is_preview: false,
    };
    let expected = [swap, Action::Leave(Id(2))];
    assert_eq!(on(&mut state, granted(2, &[])), expected);
    assert_eq!(on(&mut state, ended(2, 0)), []);
    let swapped = Event::Swapped(Id(1), Ok("changes".to_owned()));
    let answer = Action::Answer(CLIENT, Ok("changes".to_owned()));
    assert_eq!(on(&mut state, swapped), [Action::Enforce(Id(2)), answer]);
}

#[test]
fn a_reload_beyond_the_rights_takes_another_server() {
    let mut state = serving();
    on(&mut state, asked_by_client(Intent::Reload));
    let serve = [Action::Serve(Id(2))];
    assert_eq!(on(&mut state, granted(2, &["user"])), serve);
    let actions = on(&mut state, Event::Serving(Id(2)));
    let [enforce, Action::Answer(CLIENT, Ok(text)), drain] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(
        [enforce, drain],
        [&Action::Enforce(Id(2)), &Action::Drain(Id(1))]
    );
    assert!(text.contains("(user)"), "{text}");
    assert_eq!(on(&mut state, ended(1, 0)), []);
    assert_eq!(state.current(), Some(Id(2)));
}

#[test]
fn a_preview_changes_nothing() {
    for beyond in [&[][..], &["user"]] {
        let mut state = serving();
        on(&mut state, asked_by_client(Intent::Preview));
        let actions = on(&mut state, granted(2, beyond));
        assert!(matches!(
            actions[0],
            Action::Swap {
                is_preview: true,
                ..
            }
        ));
        let actions = on(&mut state, Event::Swapped(Id(1), Ok("a".to_owned())));
        let [Action::Answer(CLIENT, Ok(text))] = &actions[..] else {
            panic!("{actions:?}")
        };
        assert_eq!(text.contains("user"), !beyond.is_empty());
    }
}

#[test]
fn a_refused_reload_is_answered_and_counted() {
    for event in [
        Event::Refused(Id(2), "line 1".to_owned()),
        Event::Unusable {
            id: Id(2),
            why: "port in use".to_owned(),
        },
        ended(2, 1),
    ] {
        let mut state = serving();
        on(&mut state, asked_by_client(Intent::Reload));
        let actions = on(&mut state, event.clone());
        assert_eq!(actions[0], Action::CountRefused, "{event:?}");
        assert!(
            matches!(actions[1], Action::Answer(CLIENT, Err(_))),
            "{event:?}"
        );
        let again = on(&mut state, asked(Intent::Reload));
        assert_eq!(again, [Action::Spawn(Id(3), Intent::Reload)], "{event:?}");
    }
}

#[test]
fn reloads_wait_for_each_other_and_those_of_signals_are_one() {
    let mut state = serving();
    on(&mut state, asked(Intent::Reload));
    for _ in 0..20 {
        assert_eq!(on(&mut state, asked(Intent::Reload)), []);
    }
    for _ in 1..WAITING {
        assert_eq!(on(&mut state, asked_by_client(Intent::Reload)), []);
    }
    let actions = on(&mut state, asked_by_client(Intent::Reload));
    assert!(matches!(&actions[..], [Action::Answer(CLIENT, Err(_))]));
    on(&mut state, Event::Refused(Id(2), String::new()));
    on(&mut state, ended(2, 1));
    assert_eq!(state.waiting.len(), WAITING - 1);
}

#[test]
fn a_server_that_ends_is_replaced_after_a_pause() {
    let mut state = serving();
    let pause = [Action::RestartAfter(Duration::from_millis(100))];
    assert_eq!(on(&mut state, ended(1, 1)), pause);
    let spawn = [Action::Spawn(Id(2), Intent::Restart)];
    assert_eq!(on(&mut state, Event::Due), spawn);
    // It ends soon, again and again.
    let mut pauses = Vec::new();
    for id in 2..8 {
        let end = Event::Ended {
            id: Id(id),
            how: "SIGSEGV".to_owned(),
            code: 1,
            ran: Duration::ZERO,
        };
        for action in on(&mut state, end) {
            if let Action::RestartAfter(pause) = action {
                pauses.push(pause.as_millis());
            }
        }
        on(&mut state, Event::Due);
    }
    assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200]);
}

#[test]
fn a_server_that_ends_during_a_reload_is_replaced_by_the_new_one() {
    let mut state = serving();
    on(&mut state, asked(Intent::Reload));
    on(&mut state, ended(1, 1));
    assert_eq!(on(&mut state, Event::Due), []);
    assert_eq!(on(&mut state, granted(2, &[])), [Action::Serve(Id(2))]);
    assert_eq!(
        on(&mut state, Event::Serving(Id(2))),
        [Action::Enforce(Id(2))]
    );
    // And where the swap had begun, the client learns of it.
    let mut state = serving();
    on(&mut state, asked_by_client(Intent::Reload));
    on(&mut state, granted(2, &[]));
    let actions = on(&mut state, ended(1, 1));
    assert!(
        actions
            .iter()
            .any(|it| matches!(it, Action::Answer(CLIENT, Err(_))))
    );
    on(&mut state, ended(2, 0));
    let spawn = [Action::Spawn(Id(3), Intent::Restart)];
    assert_eq!(on(&mut state, Event::Due), spawn);
}

#[test]
fn a_start_that_fails_ends_the_program() {
    let mut state = State::default();
    state.on(Event::Begun);
    let leave = [Action::Leave(Id(1))];
    let refused = Event::Refused(Id(1), String::new());
    assert_eq!(on(&mut state, refused), leave);
    assert_eq!(on(&mut state, ended(1, 1)), finish(1, true));
    let mut state = State::default();
    state.on(Event::Begun);
    let why = "port in use".to_owned();
    let unusable = Event::Unusable {
        id: Id(1),
        why: why.clone(),
    };
    let expected = [Action::Fail(why), Action::Leave(Id(1))];
    assert_eq!(on(&mut state, unusable), expected);
}

#[test]
fn the_end_drains_all_servers_and_a_second_signal_hurries() {
    let mut state = serving();
    on(&mut state, asked(Intent::Reload));
    on(&mut state, granted(2, &["user"]));
    on(&mut state, Event::Serving(Id(2)));
    on(&mut state, asked_by_client(Intent::Reload));
    let actions = on(&mut state, Event::Stop);
    for expected in [
        Action::LimitEnd { is_short: false },
        Action::Terminate(Id(1)),
        Action::Terminate(Id(2)),
        Action::Kill(Id(3)),
    ] {
        assert!(actions.contains(&expected), "{actions:?}");
    }
    assert!(
        actions
            .iter()
            .any(|it| matches!(it, Action::Answer(CLIENT, Err(_))))
    );
    let expected = [
        Action::LimitEnd { is_short: true },
        Action::Terminate(Id(2)),
        Action::Terminate(Id(1)),
    ];
    assert_eq!(on(&mut state, Event::Stop), expected);
    for id in [3, 1] {
        assert_eq!(on(&mut state, ended(id, 1)), []);
    }
    assert_eq!(on(&mut state, ended(2, 0)), finish(0, true));
}

#[test]
fn a_server_that_does_not_end_is_killed() {
    let mut state = serving();
    on(&mut state, Event::Stop);
    assert_eq!(on(&mut state, Event::Overdue), [Action::Kill(Id(1))]);
    assert_eq!(on(&mut state, ended(1, 1)), finish(1, false));
}

#[test]
fn a_signal_before_anything_is_served_interrupts() {
    let mut state = State::default();
    state.on(Event::Begun);
    let actions = on(&mut state, Event::Stop);
    assert!(actions.contains(&Action::Kill(Id(1))));
    assert_eq!(on(&mut state, ended(1, 1)), finish(INTERRUPTED, false));
}

#[test]
fn at_most_eight_servers_drain() {
    let mut state = serving();
    for id in 2..=10 {
        on(&mut state, asked(Intent::Reload));
        on(&mut state, granted(id, &["root"]));
        let actions = on(&mut state, Event::Serving(Id(id)));
        let is_over = actions.contains(&Action::Terminate(Id(1)));
        assert_eq!(is_over, id == 10, "{actions:?}");
    }
}

#[test]
fn an_upgrade_executes_the_program_that_serves() {
    let mut state = serving();
    let spawn = [Action::Spawn(Id(2), Intent::Upgrade)];
    assert_eq!(on(&mut state, asked(Intent::Upgrade)), spawn);
    assert_eq!(on(&mut state, granted(2, &[])), [Action::Serve(Id(2))]);
    let expected = [
        Action::Enforce(Id(2)),
        Action::Drain(Id(1)),
        Action::Execute,
    ];
    assert_eq!(on(&mut state, Event::Serving(Id(2))), expected);
    // Requests wait for the program that takes over.
    assert_eq!(on(&mut state, asked(Intent::Reload)), []);
    let mut next = State::adopted(state.servers());
    let spawn = [Action::Spawn(Id(3), Intent::Reload)];
    assert_eq!(on(&mut next, Event::Adopted), spawn);
    assert_eq!(on(&mut next, ended(1, 0)), []);
    // Where it cannot be executed, this one goes on.
    assert_eq!(on(&mut state, Event::NotExecuted(String::new())), spawn);
}
