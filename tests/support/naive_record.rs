//! Calls as a naive reading of the record's lines finds them: every line a tree, every condition looked at, every sum
//! added up. Shares nothing with the crate but the values that a question is made of.

#![allow(dead_code, unreachable_pub, missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use countersign::ledger::filter::Filter;
use countersign::ledger::usage::Period;
use serde_json::Value;

/// A call by the line that stands for it.
pub struct Call {
    pub line: String,
    pub value: Value,
    pub time: i64,
    pub status: u16,
}

impl Call {
    fn of(line: &str) -> Self {
        let value: Value = serde_json::from_str(line).unwrap();
        let status = value["additionalEventData"]["status"].as_u64().unwrap_or(0) as u16;
        Self { line: line.to_owned(), time: micros(value["eventTime"].as_str().unwrap()), status, value }
    }

    fn text(&self, path: &str) -> &str {
        self.value.pointer(path).and_then(Value::as_str).unwrap_or_default()
    }

    fn client(&self) -> &str {
        if self.text("/userIdentity/type") == "Anonymous" {
            "anonymous"
        } else {
            self.text("/userIdentity/userName")
        }
    }

    pub fn resource(&self) -> String {
        self.text("/resources/0/name").to_owned()
    }

    /// What a table says of the call, as texts.
    pub fn row(&self) -> [String; 11] {
        let text = |path: &str| self.text(path).to_owned();
        let millis = self.value["additionalEventData"]["totalMs"].as_f64().unwrap_or(0.0);
        [
            self.time.to_string(),
            text("/requestID"),
            (text("/additionalEventData/record") == "intent").to_string(),
            self.client().to_owned(),
            text("/additionalEventData/route"),
            text("/additionalEventData/operation"),
            self.resource(),
            text("/sourceIPAddress"),
            self.status.to_string(),
            text("/errorCode"),
            ((millis * 1000.0).round() as u64).to_string(),
        ]
    }

    fn refused(&self) -> bool {
        let extra = &self.value["additionalEventData"];
        self.value.get("errorCode").is_some()
            && extra.get("upstreamStatus").is_none()
            && extra.get("attempts").is_none()
    }
}

/// `2026-10-01T00:00:00.000000Z` as microseconds since the first of October 2026, and that since 1970.
fn micros(time: &str) -> i64 {
    let number = |from: usize, to: usize| time[from..to].parse::<i64>().unwrap();
    let (year, month) = (number(0, 4), number(5, 7));
    assert!((2026..2030).contains(&year), "{time}");
    let leap = |year: i64| i64::from(year % 4 == 0);
    let months = [31, 28 + leap(year), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let years: i64 = (1970..year).map(|year| 365 + leap(year)).sum();
    let days = years + months[..month as usize - 1].iter().sum::<i64>() + number(8, 10) - 1;
    let seconds = days * 86_400 + number(11, 13) * 3600 + number(14, 16) * 60 + number(17, 19);
    seconds * 1_000_000 + number(20, 26)
}

/// One line for each call: its outcome, or its intent where there is no outcome.
pub fn calls(lines: &[String]) -> Vec<Call> {
    let all: Vec<Call> = lines.iter().map(|line| Call::of(line)).collect();
    let outcome = |call: &Call| call.text("/additionalEventData/record") == "outcome";
    let ended: HashSet<String> =
        all.iter().filter(|call| outcome(call)).map(|call| call.text("/requestID").to_owned()).collect();
    all.into_iter().filter(|call| outcome(call) || !ended.contains(call.text("/requestID"))).collect()
}

/// Conditions as they are written.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    pub clients: Vec<String>,
    pub routes: Vec<String>,
    pub operations: Vec<String>,
    pub resource: Option<String>,
    pub since: Option<i64>,
    pub until: Option<i64>,
    pub statuses: Vec<String>,
    pub refused: bool,
    pub sources: Vec<String>,
    pub request: Option<String>,
}

impl Conditions {
    /// The question that asks for them.
    pub fn filter(&self) -> Filter {
        Filter {
            clients: self.clients.clone(),
            routes: self.routes.clone(),
            operations: self.operations.iter().map(|glob| glob.parse().unwrap()).collect(),
            resource: self.resource.clone(),
            since: self.since,
            until: self.until,
            statuses: self.statuses.iter().map(|status| status.parse().unwrap()).collect(),
            refused: self.refused,
            sources: self.sources.iter().map(|source| source.parse().unwrap()).collect(),
            request: self.request.clone(),
        }
    }

    pub fn hold(&self, call: &Call) -> bool {
        let any = |list: &[String], holds: &dyn Fn(&str) -> bool| {
            list.is_empty() || list.iter().any(|one| holds(one))
        };
        let resources = call.value["resources"].as_array().cloned().unwrap_or_default();
        let resources: Vec<&str> = resources.iter().map(|one| one["name"].as_str().unwrap()).collect();
        any(&self.clients, &|name| call.client() == name)
            && any(&self.routes, &|name| call.text("/additionalEventData/route") == name)
            && any(&self.operations, &|glob| {
                let glob: Vec<char> = glob.chars().collect();
                let name: Vec<char> = call.text("/additionalEventData/operation").chars().collect();
                covers(&glob, &name)
            })
            && self
                .resource
                .as_ref()
                .is_none_or(|prefix| resources.iter().any(|name| name.starts_with(prefix)))
            && self.since.is_none_or(|since| call.time >= since)
            && self.until.is_none_or(|until| call.time < until)
            && any(&self.statuses, &|status| {
                let status = match status.split_once('-') {
                    Some((first, last)) => first.parse().unwrap()..=last.parse().unwrap(),
                    None if status.ends_with("xx") => {
                        let class: u16 = status[..1].parse().unwrap();
                        class * 100..=class * 100 + 99
                    }
                    None => status.parse().unwrap()..=status.parse().unwrap(),
                };
                status.contains(&call.status)
            })
            && (!self.refused || call.refused())
            && any(&self.sources, &|source| from(source, call.text("/sourceIPAddress")))
            && self.request.as_ref().is_none_or(|id| call.text("/requestID") == id)
    }
}

fn covers(glob: &[char], name: &[char]) -> bool {
    match (glob.first(), name.first()) {
        (None, None) => true,
        (Some('*'), _) => covers(&glob[1..], name) || !name.is_empty() && covers(glob, &name[1..]),
        (Some('?'), Some(_)) => covers(&glob[1..], &name[1..]),
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(other) && covers(&glob[1..], &name[1..]),
        _ => false,
    }
}

/// Addresses as bits, both kinds as IPv6.
fn from(condition: &str, source: &str) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(address.to_ipv6_mapped()),
        IpAddr::V6(address) => u128::from(address),
    };
    let Ok(source_address) = source.parse::<IpAddr>() else { return condition == source };
    let (net, length) = match condition.split_once('/') {
        Some((net, length)) => {
            let net: IpAddr = net.parse().unwrap();
            (net, length.parse::<u32>().unwrap() + if net.is_ipv4() { 96 } else { 0 })
        }
        None => match condition.parse::<IpAddr>() {
            Ok(address) => (address, 128),
            Err(_) => return false,
        },
    };
    let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
    bits(net) & mask == bits(source_address) & mask
}

/// What calls add up to by period and name: calls, errors, bytes in and out, microseconds.
pub fn usage(
    calls: &[Call],
    asked: &Conditions,
    by: &str,
    period: Period,
) -> BTreeMap<(i64, String), [u64; 5]> {
    let mut sums: BTreeMap<(i64, String), [u64; 5]> = BTreeMap::new();
    for call in calls.iter().filter(|call| asked.hold(call)) {
        if call.text("/additionalEventData/record") != "outcome" {
            continue;
        }
        let source = call.text("/eventSource");
        let parameter = |name: &str| {
            let parameters = call.value["requestParameters"].as_object();
            let found = parameters?.iter().find(|(key, _)| key.to_lowercase() == name)?.1;
            found.as_str().filter(|_| source == "cloudstack").map(str::to_owned)
        };
        let name = match by {
            "client" => Some(call.client().to_owned()),
            "route" => Some(call.text("/additionalEventData/route").to_owned()),
            "operation" => Some(call.text("/additionalEventData/operation").to_owned()),
            "bucket" => {
                let s3 = source == "s3" || call.text("/additionalEventData/operation").starts_with("s3:");
                call.resource().split('/').next().map(str::to_owned).filter(|name| s3 && !name.is_empty())
            }
            "zone" => parameter("zoneid"),
            _ => parameter("account"),
        };
        let Some(name) = name else { continue };
        // From October to December 2026 only, where the numbers of the calendar are easy.
        let day = 86_400_000_000;
        let begin = crate::record::BEGIN;
        let start = match period {
            Period::Hour => call.time - (call.time - begin) % (day / 24),
            Period::Day => call.time - (call.time - begin) % day,
            Period::Month => {
                let days = (call.time - begin) / day;
                assert!(days < 92);
                begin + day * [0, 31, 61][usize::from(days >= 31) + usize::from(days >= 61)]
            }
            Period::Whole => unreachable!(),
        };
        let number = |name: &str| call.value["additionalEventData"][name].as_u64().unwrap_or(0);
        let sum = sums.entry((start, name)).or_default();
        sum[0] += 1;
        sum[1] += u64::from(!(100..400).contains(&call.status));
        sum[2] += number("bytesIn");
        sum[3] += number("bytesOut");
        let millis = call.value["additionalEventData"]["totalMs"].as_f64().unwrap();
        sum[4] += (millis * 1000.0).round() as u64;
    }
    sums
}
