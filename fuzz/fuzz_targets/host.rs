//! Hosts: a name that is accepted has one spelling, in a field as in a target.
#![no_main]

use fcgate::message::Host;
use http::uri::Authority;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let parsed = Host::parse(text);
    if let Ok(host) = &parsed {
        has_one_spelling(host);
    }
    let Ok(authority) = text.parse::<Authority>() else {
        return;
    };
    let request = |target: String| {
        let request = http::Request::get(target).header("host", text).body(());
        request
            .map(|request| Host::of(&request.into_parts().0))
            .ok()
    };
    assert_eq!(request("/".to_owned()), Some(parsed.clone()));
    if let Some(of_both) = request(format!("http://{authority}/")) {
        assert_eq!(of_both, parsed);
    }
});

fn has_one_spelling(host: &Host) {
    let name = host.name();
    assert!(!name.is_empty());
    assert!(
        name.bytes()
            .all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase())
    );
    assert!(!name.contains(['/', '@', '?', '#', '%', '\\', '"', '<', '>']));
    let again = match host.port() {
        Some(port) => format!("{name}:{port}"),
        None => name.to_owned(),
    };
    assert_eq!(Host::parse(&again).as_ref(), Ok(host));
    let shouted = Host::parse(&again.to_ascii_uppercase());
    assert_eq!(shouted.as_ref(), Ok(host));
}
