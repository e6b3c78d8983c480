#![allow(clippy::unwrap_used)]

use http::HeaderValue;

use super::*;
use crate::target::parameters;

fn call(
    service: &str,
    target: (&str, &str, &str),
    form: &str,
    amz_target: &[&str],
) -> Result<Operation, Reason> {
    let (method, path, query) = target;
    let mut headers = HeaderMap::new();
    for value in amz_target {
        headers.append("x-amz-target", HeaderValue::from_str(value).unwrap());
    }
    let (query, fields) = (parameters(query, 100).unwrap(), parameters(form, 100).unwrap());
    let other_body = form.starts_with('{');
    let form: &[Parameter] = if other_body { &[] } else { &fields };
    aws(&Call { service, method, path, query: &query, form, other_body, headers: &headers })
}

#[test]
fn the_lists_are_sorted() {
    for list in [KEYS.as_slice(), &MATERIAL, &READS, &WRITES] {
        assert!(list.is_sorted_by(|a, b| a < b));
    }
    assert!(!KEYS.iter().any(|name| MATERIAL.contains(name)));
}

#[test]
fn actions_are_found_where_services_look_for_them() {
    let post = ("POST", "/", "");
    for (service, target, form, header, name, access, tier) in [
        ("sqs", ("POST", "/q", ""), "Action=SendMessage", None, "sqs:SendMessage", Access::Write, Tier::None),
        ("sqs", ("GET", "/", "Action=ListQueues"), "", None, "sqs:ListQueues", Access::Read, Tier::None),
        (
            "dynamodb",
            post,
            "{}",
            Some("DynamoDB_20120810.GetItem"),
            "dynamodb:GetItem",
            Access::Read,
            Tier::None,
        ),
        ("kms", post, "{}", Some("TrentService.Decrypt"), "kms:Decrypt", Access::Write, Tier::Material),
        ("iam", post, "Action=CreateAccessKey", None, "iam:CreateAccessKey", Access::Write, Tier::Keys),
        ("iam", post, "%41ction=%43reateAccessKey", None, "iam:CreateAccessKey", Access::Write, Tier::Keys),
        ("sts", post, "Action=assumerole", None, "sts:assumerole", Access::Unknown, Tier::Keys),
        ("iam", post, "", None, "iam:POST /", Access::Unknown, Tier::Keys),
        ("iam", post, "Action=ListUsers", None, "iam:ListUsers", Access::Read, Tier::None),
        ("iam", post, "Action=Frobnicate", None, "iam:Frobnicate", Access::Unknown, Tier::Keys),
        ("sqs", post, "Action=Frobnicate", None, "sqs:Frobnicate", Access::Unknown, Tier::None),
        ("sqs", post, "Action=Getaway", None, "sqs:Getaway", Access::Unknown, Tier::None),
        (
            "lambda",
            ("GET", "/2015-03-31/functions/", ""),
            "",
            None,
            "lambda:GET /2015-03-31/functions/",
            Access::Unknown,
            Tier::None,
        ),
        (
            "monitoring",
            ("POST", "/service/GraniteServiceVersion20100801/operation/PutMetricData", ""),
            "",
            None,
            "monitoring:PutMetricData",
            Access::Write,
            Tier::None,
        ),
        (
            "sqs",
            post,
            "Action=SendMessage",
            Some("AmazonSQS.SendMessage"),
            "sqs:SendMessage",
            Access::Write,
            Tier::None,
        ),
    ] {
        let headers: Vec<&str> = header.into_iter().collect();
        let operation = call(service, target, form, &headers).unwrap();
        assert_eq!((&*operation.ask.name, operation.access, operation.tier), (name, access, tier));
        assert!(operation.further.is_empty(), "{name}");
    }
}

#[test]
fn two_names_for_one_call_are_refused() {
    let post = ("POST", "/", "");
    let rpc = ("POST", "/service/A/operation/GetUser", "");
    for (target, form, headers) in [
        (("POST", "/", "Action=ListUsers"), "Action=DeleteUser", &[][..]),
        (("POST", "/", "Action=ListUsers"), "Action=ListUsers", &[]),
        (("POST", "/", "Action=ListUsers&Action=DeleteUser"), "", &[]),
        (post, "Action=ListUsers&Action=DeleteUser", &[]),
        (post, "Action=", &[]),
        (post, "Action=List%20Users", &[]),
        (post, "Action=ListUsers", &["X.DeleteUser"]),
        (("POST", "/", "Action=ListUsers"), "", &["X.DeleteUser"]),
        (post, "{}", &["X.A", "X.B"]),
        (post, "{}", &["X."]),
        (rpc, "{}", &["X.DeleteUser"]),
        (rpc, "Action=DeleteUser", &[]),
    ] {
        assert!(call("iam", target, form, headers).is_err(), "{target:?} {form} {headers:?}");
    }
}

#[test]
fn an_action_beside_a_body_of_another_kind_is_not_believed_alone() {
    let operation = call("sqs", ("POST", "/", "Action=ListQueues"), "{}", &[]).unwrap();
    assert_eq!((operation.access, operation.further), (Access::Unknown, vec![Ask::new("sqs:POST /", "")]));
}

#[test]
fn actions_at_the_root_of_s3_have_services() {
    for (query, form, name, tier) in [
        ("", "Action=AssumeRole", "sts:AssumeRole", Tier::Keys),
        ("Action=AssumeRoleWithWebIdentity", "", "sts:AssumeRoleWithWebIdentity", Tier::Keys),
        ("", "Action=CreateTopic", "sns:CreateTopic", Tier::None),
        ("", "Action=CreateAccessKey", "iam:CreateAccessKey", Tier::Keys),
        ("", "Action=Frobnicate", "iam:Frobnicate", Tier::Keys),
    ] {
        let (query, form) = (parameters(query, 9).unwrap(), parameters(form, 9).unwrap());
        let operation = at_root(&[&query, &form]).unwrap().unwrap();
        assert_eq!((&*operation.ask.name, operation.tier), (name, tier));
    }
    let fields = parameters("Action=A", 9).unwrap();
    assert!(at_root(&[&fields, &fields]).is_err());
    assert_eq!(at_root(&[&[], &[]]), Ok(None));
}
