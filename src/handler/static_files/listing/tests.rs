//! Orders, preferences, sizes and names, without a disk.

use std::time::{Duration, SystemTime};

use super::order::Column;
use super::*;

fn file(name: &[u8], length: u64, age: u64) -> Entry {
    Entry {
        name: name.to_vec(),
        is_folder: false,
        length,
        modified: SystemTime::UNIX_EPOCH + Duration::from_secs(age),
    }
}

fn folder(name: &[u8]) -> Entry {
    Entry {
        is_folder: true,
        ..file(name, 4096, 0)
    }
}

#[test]
fn the_query_selects_the_order() {
    let rows = [
        ("", "sub a.txt B.txt c.txt"),
        ("nonsense&C=?", "sub a.txt B.txt c.txt"),
        ("C=N;O=D", "sub c.txt B.txt a.txt"),
        ("C=S&O=A", "sub c.txt a.txt B.txt"),
        ("C=M&O=D", "sub a.txt B.txt c.txt"),
    ];
    for (query, expected) in rows {
        let mut list = vec![
            file(b"B.txt", 9, 2),
            file(b"c.txt", 1, 1),
            folder(b"sub"),
            file(b"a.txt", 5, 3),
        ];
        Order::parse(query).sort(&mut list);
        let names: Vec<_> = list
            .iter()
            .map(|entry| String::from_utf8_lossy(&entry.name))
            .collect();
        assert_eq!(names.join(" "), expected, "{query}");
    }
    let order = Order::parse("C=S&O=A");
    assert_eq!(order.query_for(Column::Size), "?C=S&O=D");
    assert_eq!(order.query_for(Column::Name), "?C=N&O=A");
}

#[test]
fn names_are_escaped_as_text_and_references() {
    let list = vec![
        file(b"<script>\"&'", 0, 0),
        file(b"a:b?c#d %.txt", 1536, 0),
        file(b"\xff", 1024 * 1024, 0),
    ];
    let found = Entries {
        list,
        complete: false,
    };
    let page = page::write(b"/<b>/", &found, Order::parse(""));
    for part in [
        "<title>/&lt;b&gt;/</title>",
        "&lt;script&gt;&quot;&amp;&#39;",
        "href=\"./%3Cscript%3E%22&amp;&#39;\"",
        "href=\"./a:b%3Fc%23d%20%25.txt\"",
        "href=\"./%FF\"",
        "1.5 KiB",
        "1.0 MiB",
        "href=\"../\"",
        "only 3 entries are shown",
        "datetime=\"1970-01-01T00:00:00Z\"><span>1970-01-01</span> <span>00:00</span><",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(
        !page.contains("<script>") && !page.contains("<b>"),
        "{page}"
    );
}
