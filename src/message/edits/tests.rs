//! Changes of fields and variables, and their rules.

use super::*;

fn name(text: &'static str) -> HeaderName {
    HeaderName::from_static(text)
}

fn value(text: &'static str) -> HeaderValue {
    HeaderValue::from_static(text)
}

#[test]
fn fields_are_set_added_appended_and_removed() {
    let mut fields = HeaderMap::new();
    for (field, text) in [("a", "1"), ("a", "2"), ("b", "1"), ("c", "1")] {
        fields.append(name(field), value(text));
    }
    for edit in [
        FieldEdit::Append(name("a"), value("3")),
        FieldEdit::Append(name("new"), value("1")),
        FieldEdit::Set(name("b"), value("2")),
        FieldEdit::Add(name("b"), value("3")),
        FieldEdit::Remove(name("c")),
    ] {
        edit.apply(&mut fields);
    }
    let of = |field| -> Vec<_> { fields.get_all(name(field)).iter().collect() };
    assert_eq!(of("a"), ["1", "2, 3"]);
    assert_eq!(of("b"), ["2", "3"]);
    assert_eq!(of("c"), [] as [&str; 0]);
    assert_eq!(of("new"), ["1"]);
}

#[test]
fn spellings_of_a_variable_are_equal() {
    for (one, other, expected) in [
        ("remote-user", "remote-user", true),
        ("remote-user", "remote_user", true),
        ("remote-user", "remote.user", true),
        ("remote-user", "remote-used", false),
        ("remote-user", "remoteuser", false),
        ("remote-user", "remotexuser", false),
        ("remote-user", "remote-users", false),
    ] {
        let found = [(one, other), (other, one)]
            .map(|(one, other)| have_same_variable(&name(one), &name(other)));
        assert_eq!(found, [expected; 2], "{one} {other}");
    }
}

#[test]
fn the_rules_that_give_a_variable_its_value_are_known() {
    let environment = |name: &str, value: Option<&str>| Assignment {
        name: name.into(),
        value: value.map(|value| value.as_bytes().to_vec()),
    };
    let mut edits = Edits::default();
    let rules = [
        RuleEdits {
            environment: vec![environment("A", Some("1")), environment("B", Some("1"))],
            php_values: [Some("a=1".into()), None],
            ..RuleEdits::default()
        },
        RuleEdits {
            environment: vec![environment("A", Some("2"))],
            php_values: [Some("b=1".into()), Some("c=1".into())],
            request: vec![
                FieldEdit::Set(name("x-set"), value("1")),
                FieldEdit::Set(name("content-type"), value("a/b")),
                FieldEdit::Append(name("x-list"), value("1")),
            ],
            ..RuleEdits::default()
        },
    ];
    for (number, place) in ["first:1", "second:2"].into_iter().enumerate() {
        edits.set_rule(RuleEdits {
            rule: RuleId::of_site(number),
            place: place.into(),
            ..rules[number].clone()
        });
    }
    for (variable, expected) in [
        ("A", vec!["second:2"]),
        ("B", vec!["first:1"]),
        ("C", vec![]),
        ("PHP_VALUE", vec!["first:1", "second:2"]),
        ("PHP_ADMIN_VALUE", vec!["second:2"]),
        ("HTTP_X_SET", vec!["second:2"]),
        ("CONTENT_TYPE", vec!["second:2"]),
        ("HTTP_X_LIST", vec![]),
        ("QUERY_STRING", vec![]),
    ] {
        assert_eq!(edits.places_of(variable.as_bytes()), expected, "{variable}");
    }
}

#[test]
fn a_rule_that_matches_again_says_it_once() {
    let mut edits = Edits::default();
    let of_rule = |(source, number), text: &str| RuleEdits {
        rule: RuleId { source, number },
        php_values: [Some(text.into()), None],
        ..RuleEdits::default()
    };
    let folder = (1, 1);
    for (rule, text) in [
        ((0, 1), "a=1"),
        ((0, 2), "b=2"),
        (folder, "c=4"),
        ((0, 1), "a=3"),
    ] {
        edits.set_rule(of_rule(rule, text));
    }
    assert_eq!(edits.php_values(0).as_deref(), Some("b=2\nc=4\na=3"));
    assert_eq!(edits.php_values(1), None);
}
