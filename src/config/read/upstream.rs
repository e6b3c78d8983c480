//! `upstream`: where a route's requests go. Connect address, signed `Host` and TLS name are three things; each
//! follows from `url` unless it is given.

use crate::config::Upstream;
use crate::config::table::{Field, Findings, Table};
use crate::config::value::{self, Origin};

/// An upstream with what the signing scheme wants to know of it.
pub(super) struct Read {
    pub(super) upstream: Upstream,
    /// Plain HTTP that leaves this machine.
    pub(super) exposed: bool,
}

pub(super) fn read(field: &Field<'_>, findings: &mut Findings) -> Option<Read> {
    if field.is_text() {
        let origin = origin(field, findings)?;
        let exposed = refuse_exposed(field, &origin, false, findings);
        return Some(Read { upstream: plain(&origin), exposed });
    }
    let mut table = field.table_or(findings, "a URL or a table with `url`")?;
    let url = table.required(findings, "url", "write it like `url = \"https://cloud.example\"`");
    let origin = url.as_ref().and_then(|field| origin(field, findings));
    let read = full(&mut table, url.as_ref().zip(origin.as_ref()), findings);
    table.finish(findings);
    read
}

/// The URL of an upstream. It is quoted unless it may hold a password.
fn origin(field: &Field<'_>, findings: &mut Findings) -> Option<Origin> {
    let text = field.guarded_text(findings)?;
    if !text.contains(['@', '?', '#']) {
        findings.show(&field.span());
    }
    field.accept(findings, value::origin(text))
}

fn plain(origin: &Origin) -> Upstream {
    Upstream {
        tls: origin.tls,
        connect_host: origin.bare_host().to_owned(),
        connect_port: origin.port,
        host: origin.authority(),
        sni: origin.bare_host().to_owned(),
        ca_file: None,
        rewrite_path: None,
        http2: origin.tls,
    }
}

/// Every key is read, so that each problem is found, even when there is no usable `url`.
fn full(table: &mut Table<'_>, url: Option<(&Field<'_>, &Origin)>, findings: &mut Findings) -> Option<Read> {
    let tls = url.map(|(_, origin)| origin.tls);
    let host = table.optional(findings, "host");
    let host = host.and_then(|field| field.parsed(findings, value::host_and_port));
    let sni = table.optional(findings, "sni");
    let sni = sni.and_then(|field| {
        refuse_without_tls(&field, tls, findings);
        field.parsed(findings, value::host)
    });
    let ca_file = table.optional(findings, "ca-file");
    let ca_file = ca_file.and_then(|field| {
        refuse_without_tls(&field, tls, findings);
        field.parsed(findings, value::absolute)
    });
    let rewrite_path = table.optional(findings, "rewrite-path");
    let rewrite_path = rewrite_path.and_then(|field| field.parsed(findings, value::path_prefix));
    let http2 = table.optional(findings, "http2").and_then(|field| {
        let http2 = field.boolean(findings)?;
        if http2 {
            refuse_without_tls(&field, tls, findings);
        }
        Some(http2)
    });
    let insecure = table.optional(findings, "insecure").and_then(|field| {
        let insecure = field.boolean(findings)?;
        if insecure && tls == Some(true) {
            let problem = field.problem("`insecure` is for plain http upstreams");
            let help =
                "the certificate of an https upstream is always verified; `ca-file` names a private root";
            findings.push(problem.help(help));
        }
        Some(insecure)
    });
    let (field, origin) = url?;
    let exposed = refuse_exposed(field, origin, insecure.unwrap_or(false), findings);
    let default = plain(origin);
    let upstream = Upstream {
        host: host.unwrap_or(default.host),
        sni: sni.map_or(default.sni, |sni| sni.trim_matches(['[', ']']).to_owned()),
        ca_file,
        rewrite_path,
        http2: http2.unwrap_or(default.http2),
        ..default
    };
    Some(Read { upstream, exposed })
}

fn refuse_without_tls(field: &Field<'_>, tls: Option<bool>, findings: &mut Findings) {
    if tls == Some(false) {
        let problem = field.problem(format!("`{}` has no effect on a plain http upstream", field.path));
        findings.push(problem.help("use an https `url`, or remove the key"));
    }
}

/// Whether requests leave this machine in the clear; that nobody agreed to it is a problem.
fn refuse_exposed(field: &Field<'_>, origin: &Origin, insecure: bool, findings: &mut Findings) -> bool {
    let exposed = !origin.tls && !origin.is_loopback();
    if exposed && !insecure {
        let problem = field.problem("signed requests would leave this machine unencrypted");
        let help = "use https; if the network between is trusted, say so: \
                    `upstream = { url = \"http://…\", insecure = true }`";
        findings.push(problem.label("plain http to another machine").help(help));
    }
    exposed
}
