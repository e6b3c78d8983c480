//! The table of calls, and how each is made.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::answers::Form;
use crate::support::{Ask, ask};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    Cloudstack,
    Zstack,
    Ostor,
    S3,
    Aws,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    Keys,
    Material,
}

/// A secret field of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    /// Whether it is a key of the API itself.
    pub api_key: bool,
}

/// A call whose real answer carries secrets.
#[derive(Clone, Debug)]
pub struct Call {
    pub system: System,
    pub tier: Tier,
    pub name: &'static str,
    pub fields: Vec<Field>,
}

/// Reads the table: `system tier | call | field field!`.
pub fn calls() -> Vec<Call> {
    let lines = include_str!("calls.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(one).collect()
}

fn one(line: &'static str) -> Call {
    let parts: Vec<&'static str> = line.split('|').map(str::trim).collect();
    let [head, name, fields] = parts.try_into().unwrap();
    let (system, tier) = head.split_once(' ').unwrap();
    let system = match system {
        "cloudstack" => System::Cloudstack,
        "zstack" => System::Zstack,
        "ostor" => System::Ostor,
        "s3" => System::S3,
        "aws" => System::Aws,
        other => panic!("{other}"),
    };
    let tier = match tier.trim() {
        "keys" => Tier::Keys,
        "material" => Tier::Material,
        other => panic!("{other}"),
    };
    let field = |word: &'static str| {
        let name = word.trim_end_matches('!');
        Field { name, api_key: name != word }
    };
    Call { system, tier, name, fields: fields.split_whitespace().map(field).collect() }
}

/// The services of Amazon that the table names.
pub fn services() -> BTreeSet<&'static str> {
    let aws = |call: &Call| call.system == System::Aws;
    calls().iter().filter(|call| aws(call)).map(|call| call.name.split(':').next().unwrap()).collect()
}

/// Services that speak the query protocol, and answer in XML.
const QUERY: [&str; 5] = ["iam", "sts", "ec2", "rds", "redshift"];

impl Call {
    /// The forms of answer that there are.
    pub fn forms(&self) -> Vec<Form> {
        match self.system {
            System::Cloudstack => vec![Form::Json, Form::Xml],
            System::S3 => vec![Form::Xml],
            System::Aws if QUERY.contains(&self.name.split(':').next().unwrap()) => vec![Form::Xml],
            System::Zstack | System::Ostor | System::Aws => vec![Form::Json],
        }
    }

    /// The request; its `user-agent` tells the upstream which line of the table it is.
    pub fn ask(&self, form: Form, address: SocketAddr) -> Ask {
        let line = calls().iter().position(|call| call.name == self.name).unwrap();
        let (method, target, host, more) = self.request(form);
        let host = host.unwrap_or_else(|| address.to_string());
        let mut out = ask(&method, &target).header("Host", &host);
        out = out.header("User-Agent", &format!("line/{line} form/{}", u8::from(form == Form::Xml)));
        match more {
            More::Nothing => out,
            More::Target(name) => out
                .header("X-Amz-Target", &name)
                .header("Content-Type", "application/x-amz-json-1.1")
                .body("{}"),
            More::Json(body) => out.header("Content-Type", "application/json").body(body),
        }
    }

    fn request(&self, form: Form) -> (String, String, Option<String>, More) {
        let get = |target: String, host: Option<&str>| {
            ("GET".to_owned(), target, host.map(str::to_owned), More::Nothing)
        };
        match self.system {
            System::Cloudstack => {
                let response = if form == Form::Json { "json" } else { "xml" };
                get(format!("/client/api?command={}&response={response}", self.name), None)
            }
            System::Zstack => {
                let mut words = self.name.split(' ');
                let (method, path, action) = (words.next().unwrap(), words.next().unwrap(), words.next());
                let target = format!("/zstack{}", path.replace("{uuid}", &"0123456789abcdef".repeat(2)));
                let more = match (method, action) {
                    ("PUT", Some(action)) => More::Json(format!("{{\"{action}\":{{}}}}")),
                    ("POST", _) => More::Json("{\"params\":{}}".to_owned()),
                    _ => More::Nothing,
                };
                (method.to_owned(), target, None, more)
            }
            System::Ostor => {
                let (method, target) = self.name.split_once(' ').unwrap();
                (method.to_owned(), target.to_owned(), Some("ostor.test".to_owned()), More::Nothing)
            }
            System::S3 => {
                let (method, target) = self.name.split_once(' ').unwrap();
                (method.to_owned(), target.to_owned(), Some("s3.test".to_owned()), More::Nothing)
            }
            System::Aws => {
                let (service, action) = self.name.split_once(':').unwrap();
                let host = format!("{service}.test");
                if QUERY.contains(&service) {
                    return get(format!("/?Action={action}&Version=2010-05-08"), Some(&host));
                }
                (
                    "POST".to_owned(),
                    "/".to_owned(),
                    Some(host),
                    More::Target(format!("Svc_20170101.{action}")),
                )
            }
        }
    }
}

enum More {
    Nothing,
    Target(String),
    Json(String),
}
