//! The pages as text: what fills them, and that none of it is taken for markup.

use super::call::DETAIL;
use super::*;
use crate::live::Stages;

#[test]
fn no_value_is_taken_for_a_slot_or_for_markup() {
    let filled = fill("<a {{one}}>{{two}}{{three}}", &[("one", "{{two}}".into()), ("two", "2".into())]);
    assert_eq!(filled, "<a {{two}}>2");
    let call = Call {
        operation: "<img src=x onerror=alert(1)>".into(),
        agent: "\"><script>".into(),
        stages: Some(Stages { canonical_request: None, string_to_sign: "</pre><b>".into() }),
        ..Call::default()
    };
    let page = detail(Some(&call)) + &call_row(&call);
    for bad in ["<img", "\"><script>", "</pre><b>"] {
        assert!(!page.contains(bad), "{bad}");
    }
}

#[test]
fn every_slot_of_the_templates_is_filled() {
    let known = |template: &str, source: &str| {
        for part in template.split("{{").skip(1) {
            let name = part.split("}}").next().unwrap_or_default();
            assert!(source.contains(&format!("(\"{name}\",")), "{name}");
        }
    };
    known(INDEX, include_str!("../page.rs"));
    known(DETAIL, include_str!("call.rs"));
}
