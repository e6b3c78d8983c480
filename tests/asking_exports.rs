//! What `audit export` writes, read by other eyes: JSON trees, a CSV reader, a Parquet reader.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/naive_record.rs"]
mod naive;
#[path = "support/record.rs"]
mod record;

use std::path::PathBuf;

use countersign::ledger::export::{Shape, export};
use naive::{Call, Conditions, calls};
use record::{Maker, Recipe};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A record with hostile texts over two segments, and the calls in it in the order of their outcomes.
fn made() -> (TempDir, PathBuf, Vec<Call>) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.jsonl");
    let mut maker = Maker::new(&log, Recipe { hostile: true, ..Recipe::default() });
    maker.calls(600);
    maker.rotate();
    maker.calls(200);
    maker.settle();
    maker.crash();
    let calls = calls(&maker.lines);
    (folder, log, calls)
}

fn exported(log: &std::path::Path, shape: Shape) -> Vec<u8> {
    let mut out = Vec::new();
    let scanned = export(log, &Conditions::default().filter(), shape, &mut out).unwrap();
    assert_eq!((scanned.calls, scanned.malformed), (801, 0));
    out
}

/// One tree a line, in printable ASCII.
fn trees(out: Vec<u8>) -> Vec<Value> {
    assert!(out.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n')));
    String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn cloudtrail_is_the_record_without_its_chain() {
    let (_folder, log, calls) = made();
    let out = exported(&log, Shape::Cloudtrail);
    assert!(out.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n')));
    let tree: Value = serde_json::from_slice(&out).unwrap();
    let records = tree["Records"].as_array().unwrap();
    assert_eq!(tree.as_object().unwrap().len(), 1);
    assert_eq!(records.len(), calls.len());
    for (record, call) in records.iter().zip(&calls) {
        let mut wanted = call.value.clone();
        wanted.as_object_mut().unwrap().retain(|name, _| name != "seq" && name != "hash");
        assert_eq!(*record, wanted);
        for name in ["eventVersion", "eventTime", "eventID", "eventSource", "eventName", "userIdentity"] {
            assert!(record.get(name).is_some(), "{name}");
        }
        assert!(!record["eventSource"].as_str().unwrap().ends_with("amazonaws.com"));
    }
}

#[test]
fn ocsf_has_what_its_class_requires() {
    let (_folder, log, calls) = made();
    let events = trees(exported(&log, Shape::Ocsf));
    assert_eq!(events.len(), calls.len());
    let mut activities = std::collections::BTreeSet::new();
    for (event, call) in events.iter().zip(&calls) {
        let extra = &call.value["additionalEventData"];
        let number = |name: &str| event[name].as_i64().unwrap_or_else(|| panic!("{name}: {event}"));
        assert_eq!((number("class_uid"), number("category_uid")), (6003, 6));
        assert_eq!(number("type_uid"), 600_300 + number("activity_id"));
        assert!(matches!(number("severity_id"), 1 | 2));
        assert_eq!(number("time"), call.time / 1000);
        assert_eq!(event["metadata"]["version"], "1.3.0");
        assert_eq!(event["metadata"]["product"]["vendor_name"], "countersign");
        assert_eq!(event["metadata"]["uid"], call.value["eventID"]);
        assert_eq!(event["api"]["operation"], extra["operation"]);
        assert_eq!(event["unmapped"]["traceId"], extra["traceId"]);
        assert!(!event["actor"]["user"]["name"].as_str().unwrap().is_empty());
        let source = call.value["sourceIPAddress"].as_str().unwrap();
        let named = if source.starts_with("unix:") { "name" } else { "ip" };
        assert_eq!(event["src_endpoint"], json!({ named: source }));
        let status = match (extra["record"].as_str().unwrap(), call.status) {
            ("intent", _) | (_, 0) => 0,
            (_, 100..=399) => 1,
            _ => 2,
        };
        assert_eq!(number("status_id"), status, "{event}");
        let read = call.value["readOnly"].as_bool().unwrap();
        assert_eq!(number("activity_id") == 2, read, "{event}");
        activities.insert(number("activity_id"));
        let names: Vec<&Value> = call.value["resources"]
            .as_array()
            .map(|all| all.iter().map(|one| &one["name"]).collect())
            .unwrap_or_default();
        let found: Vec<&Value> = event["resources"]
            .as_array()
            .map(|all| all.iter().map(|one| &one["name"]).collect())
            .unwrap_or_default();
        assert_eq!(found, names);
    }
    assert_eq!(activities.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn ecs_keeps_to_its_words() {
    let (_folder, log, calls) = made();
    let events = trees(exported(&log, Shape::Ecs));
    assert_eq!(events.len(), calls.len());
    for (event, call) in events.iter().zip(&calls) {
        let extra = &call.value["additionalEventData"];
        assert_eq!(event["@timestamp"], call.value["eventTime"]);
        assert!(event["ecs"]["version"].as_str().unwrap().starts_with("8."));
        assert_eq!(event["event"]["kind"], "event");
        assert_eq!(event["event"]["category"], json!(["api"]));
        let types = event["event"]["type"].as_array().unwrap();
        let known = ["access", "creation", "change", "deletion", "denied", "info"];
        assert!(
            !types.is_empty() && types.iter().all(|kind| known.contains(&kind.as_str().unwrap())),
            "{event}"
        );
        let refused = call.value.get("errorCode").is_some() && extra.get("attempts").is_none();
        assert_eq!(types.contains(&json!("denied")), refused, "{event}");
        assert!(["success", "failure", "unknown"].contains(&event["event"]["outcome"].as_str().unwrap()));
        assert_eq!(event["event"]["action"], extra["operation"]);
        assert_eq!(event["source"]["address"], call.value["sourceIPAddress"]);
        assert_eq!(event["trace"]["id"], extra["traceId"]);
        assert_eq!(
            event["source"].get("ip").is_some(),
            !call.value["sourceIPAddress"].as_str().unwrap().starts_with("unix")
        );
        if call.status > 0 {
            assert_eq!(event["http"]["response"]["status_code"], call.status);
            let nanos = event["event"]["duration"].as_f64().unwrap();
            assert!((nanos / 1e6 - extra["totalMs"].as_f64().unwrap()).abs() < 1e-6);
        }
    }
}

#[test]
fn csv_holds_every_call_and_no_formula() {
    let (_folder, log, calls) = made();
    let out = exported(&log, Shape::Csv);
    let text = String::from_utf8(out.clone()).unwrap();
    assert!(!text.chars().any(|letter| letter.is_control() && letter != '\r' && letter != '\n'));
    let mut reader = csv::Reader::from_reader(&out[..]);
    let head: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), calls.len());
    let column = |name: &str| head.iter().position(|head| head == name).unwrap();
    let (mut guarded, mut traced) = (0, 0);
    for (row, call) in rows.iter().zip(&calls) {
        assert_eq!(row[column("request_id")], *call.value["requestID"].as_str().unwrap());
        assert_eq!(row[column("status")], call.status.to_string());
        let trace = call.value["additionalEventData"]["traceId"].as_str().unwrap_or_default();
        assert_eq!(row[column("trace_id")], *trace);
        traced += usize::from(!trace.is_empty());
        let bytes = call.value["additionalEventData"]["bytesOut"].as_u64().unwrap_or(0);
        assert_eq!(row[column("bytes_out")], bytes.to_string());
        for cell in row {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell}");
        }
        if call.value["userAgent"].as_str().unwrap().starts_with('=') {
            guarded += usize::from(row[column("user_agent")].starts_with("'="));
        }
    }
    assert!(guarded > 5 && traced > 5 && traced < rows.len());
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_holds_every_call_with_its_types() {
    use parquet::basic::{LogicalType, Type};
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    let (_folder, log, calls) = made();
    let reader = SerializedFileReader::new(bytes::Bytes::from(exported(&log, Shape::Parquet))).unwrap();
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let time = schema.column(0);
    assert_eq!((time.name(), time.physical_type()), ("time", Type::INT64));
    assert!(matches!(time.logical_type_ref(), Some(LogicalType::Timestamp(_))), "{time:?}");
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), calls.len());
    for (row, call) in rows.iter().zip(&calls) {
        let field = |wanted: &str| row.get_column_iter().find(|(name, _)| *name == wanted).unwrap().1.clone();
        let extra = &call.value["additionalEventData"];
        let text = |value: &Value| Field::Str(value.as_str().unwrap_or_default().to_owned());
        assert_eq!(field("time"), Field::TimestampMicros(call.time));
        assert_eq!(field("user_agent"), text(&call.value["userAgent"]));
        assert_eq!(field("operation"), text(&extra["operation"]));
        assert_eq!(field("resource"), Field::Str(call.resource()));
        assert_eq!(field("status"), Field::Long(call.status.into()));
        assert_eq!(field("bytes_in"), Field::Long(extra["bytesIn"].as_i64().unwrap_or(0)));
        assert_eq!(field("total_ms"), Field::Double(extra["totalMs"].as_f64().unwrap_or(0.0)));
        assert_eq!(field("read_only"), Field::Bool(call.value["readOnly"].as_bool().unwrap()));
    }
}

#[cfg(feature = "parquet")]
#[test]
fn what_a_line_does_not_say_is_null_in_parquet() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.jsonl");
    let line = |read: &str, seq: u32| {
        let time = "2026-11-22T09:30:00Z";
        format!(
            "{{\"eventTime\":\"{time}\"{read},\"additionalEventData\":{{\"record\":\"outcome\"}},\"seq\":{seq}}}\n"
        )
    };
    std::fs::write(&log, line("", 0) + &line(",\"readOnly\":false", 1)).unwrap();
    let mut out = Vec::new();
    export(&log, &Conditions::default().filter(), Shape::Parquet, &mut out).unwrap();
    let reader = SerializedFileReader::new(bytes::Bytes::from(out)).unwrap();
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    let flags: Vec<_> = rows
        .iter()
        .map(|row| row.get_column_iter().find(|(name, _)| *name == "read_only").unwrap().1.clone())
        .collect();
    assert_eq!(flags, [Field::Null, Field::Bool(false)]);
}

#[test]
fn an_export_of_nothing_is_whole() {
    let (_folder, log, _) = made();
    let nothing = Conditions { clients: vec!["nobody".to_owned()], ..Conditions::default() }.filter();
    let out = |shape: Shape| {
        let mut out = Vec::new();
        assert_eq!(export(&log, &nothing, shape, &mut out).unwrap().calls, 0);
        out
    };
    assert_eq!(serde_json::from_slice::<Value>(&out(Shape::Cloudtrail)).unwrap(), json!({ "Records": [] }));
    assert!(out(Shape::Ocsf).is_empty() && out(Shape::Ecs).is_empty());
    assert_eq!(out(Shape::Csv).split_inclusive(|byte| *byte == b'\n').count(), 1);
    #[cfg(feature = "parquet")]
    assert!(out(Shape::Parquet).starts_with(b"PAR1"));
}
