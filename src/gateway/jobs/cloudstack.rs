//! CloudStack's jobs: `{"…response": {"jobid": …}}`, asked for by `queryAsyncJobResult` (`ApiServer.queueCommand`,
//! `QueryAsyncJobResultCmd`).

use bytes::Bytes;
use http::Method;
use quick_xml::events::Event;

use super::{Poll, State};
use crate::config::MethodRule;
use crate::outbound::{Content, Draft};
use crate::target::{EmptyValue, Parameter, parameters, query};

/// Commands whose answers name jobs that they did not begin.
const ABOUT_JOBS: [&str; 2] = ["queryAsyncJobResult", "listAsyncJobs"];

/// `jobstatus` of a job that still runs (`JobInfo.Status.IN_PROGRESS`).
const RUNNING: &str = "0";

/// How a call's jobs are asked for.
pub(super) struct Jobs {
    method: MethodRule,
    /// The caller's `response`: the form of the answer.
    response: Option<Parameter>,
}

impl Jobs {
    /// None for a call that only asks for jobs.
    pub(super) fn of(method: MethodRule, command: &str, draft: &Draft, content: &Content) -> Option<Self> {
        if ABOUT_JOBS.iter().any(|known| command.eq_ignore_ascii_case(known)) {
            return None;
        }
        let written = match content {
            Content::Form(form) => form,
            _ => draft.query.as_deref().unwrap_or_default(),
        };
        let fields = parameters(written, usize::MAX).unwrap_or_default();
        Some(Self { method, response: fields.into_iter().find(|field| field.name == b"response") })
    }

    /// The question for the job that an answer names.
    pub(super) fn poll(&self, answer: &Bytes, mut draft: Draft) -> Option<Poll> {
        let plain = |job: &String| {
            (1..=64).contains(&job.len()) && job.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        let job = member(answer, "jobid").filter(plain)?;
        // Some releases repeat the whole job in the answer; one that is over needs no question.
        if member(answer, "jobstatus").is_some_and(|status| status != RUNNING) {
            return None;
        }
        let mut fields =
            vec![Parameter::new("command", "queryAsyncJobResult"), Parameter::new("jobid", &job)];
        fields.extend(self.response.clone());
        let written = query(&fields, EmptyValue::AsSent);
        let mut form = None;
        // It only reads, so `auto` and `keep` are one.
        if self.method == MethodRule::Post {
            draft.method = Method::POST;
            draft.query = None;
            form = written;
        } else {
            draft.method = Method::GET;
            draft.query = written;
        }
        Some(Poll { job, draft, form })
    }
}

/// What a `queryAsyncJobResult` says of its job. An answer that cannot be read is no job that runs.
pub(super) fn state(answer: Option<&[u8]>) -> State {
    match answer.and_then(|text| member(text, "jobstatus")).as_deref() {
        Some(RUNNING) => State::Running,
        _ => State::Over,
    }
}

/// A member of the one object in an answer, JSON or XML, as text. Members of what is inside are not looked at: a
/// listed machine has a `jobid` too.
fn member(answer: &[u8], name: &str) -> Option<String> {
    let text = std::str::from_utf8(answer).ok()?;
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.starts_with('{') { json(text, name) } else { xml(text, name) }
}

fn json(text: &str, name: &str) -> Option<String> {
    let whole: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).ok()?;
    let mut members = whole.iter();
    let (outer, inner) = members.next()?;
    if members.next().is_some() || !is_response(outer) {
        return None;
    }
    match inner.get(name)? {
        serde_json::Value::String(value) => Some(value.clone()),
        serde_json::Value::Number(value) => Some(value.to_string()),
        _ => None,
    }
}

fn xml(text: &str, name: &str) -> Option<String> {
    let mut reader = quick_xml::Reader::from_str(text);
    let mut depth = 0_usize;
    loop {
        match reader.read_event().ok()? {
            Event::Start(element) => {
                if depth == 0 && !is_response(element.name().as_ref()) {
                    return None;
                }
                if depth == 1 && element.name().as_ref() == name {
                    let value = reader.read_text(element.name()).ok()?;
                    return Some(value.trim().to_owned());
                }
                depth += 1;
            }
            Event::End(_) => depth = depth.checked_sub(1)?,
            Event::Eof => return None,
            _ => {}
        }
    }
}

fn is_response(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.len() > 8 && bytes[bytes.len() - 8..].eq_ignore_ascii_case(b"response")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_named_by_the_answer_itself() {
        for (answer, job) in [
            (r#"{"deployvirtualmachineresponse":{"id":"a","jobid":"0f1e-2"}}"#, Some("0f1e-2")),
            ("\u{feff} \n{\"x_response\" : { \"jobid\" : 17 } }", Some("17")),
            (
                "<?xml version=\"1.0\"?><deployvirtualmachineresponse cloud-stack-version=\"4.20\"><id>a</id>\
              <jobid> 0f1e-2 </jobid></deployvirtualmachineresponse>",
                Some("0f1e-2"),
            ),
            (r#"{"listvirtualmachinesresponse":{"count":1,"virtualmachine":[{"jobid":"x"}]}}"#, None),
            (r#"{"aresponse":{"b":{"jobid":"x"}}}"#, None),
            (r#"{"jobid":"x"}"#, None),
            (r#"{"aresponse":{"jobid":"x"},"bresponse":{}}"#, None),
            (r#"{"aresponse":{"jobid":null}}"#, None),
            (r#"{"aresponse":{"jobid":"x""#, None),
            ("<aresponse><vm><jobid>x</jobid></vm></aresponse>", None),
            ("<jobid>x</jobid>", None),
            ("<html><jobid>x</jobid></html>", None),
            ("<aresponse><jobid>x</aresponse>", None),
            ("</a></b>", None),
            ("", None),
        ] {
            assert_eq!(member(answer.as_bytes(), "jobid").as_deref(), job, "{answer}");
        }
    }

    #[test]
    fn only_status_zero_runs() {
        let answer = |status: &str| format!(r#"{{"queryasyncjobresultresponse":{{"jobstatus":{status}}}}}"#);
        assert_eq!(state(Some(answer("0").as_bytes())), State::Running);
        assert_eq!(
            state(Some(
                b"<queryasyncjobresultresponse><jobstatus>0</jobstatus></queryasyncjobresultresponse>"
            )),
            State::Running
        );
        for over in ["1", "2", "\"1\"", "null"] {
            assert_eq!(state(Some(answer(over).as_bytes())), State::Over, "{over}");
        }
        assert_eq!(state(None), State::Over);
    }
}
