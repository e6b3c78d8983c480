//! Traces over OTLP: one server span for each call, in the caller's trace or in one of its own.
//!
//! Built with the cargo feature `otlp` only, and on only when the environment names an endpoint, as OpenTelemetry has it
//! (`OTEL_EXPORTER_OTLP_ENDPOINT` and the other variables of its specification). Spans are handed to a thread that sends
//! them; what it cannot keep up with is dropped there, and never waited for. A span carries names and numbers: no value
//! of a parameter, no resource, no header.

mod client;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor};

use client::Client;

use crate::live::{Call, Export};
use crate::metrics::method_label;

/// How long an exchange with the collector may take, unless the environment says otherwise.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the last spans may take.
const LAST: Duration = Duration::from_secs(2);

/// The way out for spans.
pub struct Spans(Arc<BatchSpanProcessor>);

impl Spans {
    /// Begins to export, where the environment says where to.
    ///
    /// # Errors
    /// Variables that cannot be used.
    pub fn from_environment() -> Result<Option<Self>, String> {
        if !is_asked_for() {
            return Ok(None);
        }
        let variable = |name: String| {
            std::env::var_os(format!("OTEL_EXPORTER_OTLP_{name}")).filter(|value| !value.is_empty())
        };
        let of_traces = |name: &str| variable(format!("TRACES_{name}")).or_else(|| variable(name.to_owned()));
        let authorities = of_traces("CERTIFICATE").map(PathBuf::from);
        let patience = of_traces("TIMEOUT").and_then(|value| value.to_str()?.trim().parse().ok());
        let client = Client::new(authorities.as_deref(), patience.map_or(PATIENCE, Duration::from_millis))?;
        let exporter = SpanExporter::builder().with_http().with_http_client(client).build();
        let exporter = exporter.map_err(|error| error.to_string())?;
        let mut processor = BatchSpanProcessor::builder(exporter).build();
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        // `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` win.
        let named = std::env::var_os("OTEL_SERVICE_NAME").is_some();
        let resource = Resource::builder().with_attribute(version);
        let resource = if named { resource } else { resource.with_service_name("countersign") };
        processor.set_resource(&resource.build());
        Ok(Some(Self(Arc::new(processor))))
    }

    /// What a feed gives every call to.
    pub fn export(&self) -> Export {
        let processor = self.0.clone();
        let scope =
            InstrumentationScope::builder("countersign").with_version(env!("CARGO_PKG_VERSION")).build();
        Box::new(move |call| {
            if let Some(span) = span(call, &scope) {
                processor.on_end(span);
            }
        })
    }

    /// Sends what is left; calls after this are not exported.
    pub fn finish(&self) {
        if let Err(error) = self.0.shutdown_with_timeout(LAST) {
            tracing::warn!(%error, "the last spans were not exported");
        }
    }
}

/// Whether the environment names an endpoint for traces.
pub fn is_asked_for() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let off = std::env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
    (set("OTEL_EXPORTER_OTLP_ENDPOINT") || set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")) && !off
}

/// A call as a span, under the names of OpenTelemetry's conventions for HTTP servers; nothing of a call whose trace is
/// not kept.
fn span(call: &Call, scope: &InstrumentationScope) -> Option<SpanData> {
    let trace = call.trace.filter(crate::trace::Trace::is_sampled)?;
    let started = SystemTime::from(call.time);
    let took = Duration::try_from_secs_f64(call.duration_ms / 1e3).unwrap_or_default();
    let text =
        |key: &'static str, value: &str| (!value.is_empty()).then(|| KeyValue::new(key, value.to_owned()));
    let code = (call.status > 0).then(|| KeyValue::new("http.response.status_code", i64::from(call.status)));
    let status =
        if call.status == 0 || call.status >= 500 { Status::error(call.error) } else { Status::Unset };
    let method = method_label(&call.method);
    let failure = if call.error.is_empty() && call.status >= 500 {
        call.status.to_string()
    } else {
        call.error.to_owned()
    };
    let attributes = [
        text("http.request.method", method),
        text("http.route", &call.route),
        code,
        text("error.type", &failure),
        text("client.address", &call.source),
        text("countersign.upstream", &call.upstream),
        text("countersign.operation", &call.operation),
        text("countersign.client", &call.client),
        text("countersign.decision", call.decision),
        text("countersign.request_id", &call.id),
    ];
    let route = if call.route.is_empty() { "(no route)" } else { &call.route };
    Some(SpanData {
        span_context: SpanContext::new(
            TraceId::from_bytes(trace.id_bytes()),
            SpanId::from_bytes(trace.span_bytes()),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        ),
        parent_span_id: trace.parent_bytes().map_or(SpanId::INVALID, SpanId::from_bytes),
        parent_span_is_remote: trace.parent_bytes().is_some(),
        span_kind: SpanKind::Server,
        name: format!("{method} {route}").into(),
        start_time: started,
        end_time: started + took,
        attributes: attributes.into_iter().flatten().collect(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status,
        instrumentation_scope: scope.clone(),
    })
}
