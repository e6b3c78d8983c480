//! `refuse-replays`: a call that changes something passes once for each signature.

use crate::signer::{self, Call, V4};
use crate::support::naive::now;
use crate::support::{Setup, Upstream};
use crate::{local, routes};

#[test]
fn a_signature_changes_something_once() {
    let upstream = Upstream::ok();
    let gateway = Setup::routes(&routes(&upstream, "refuse-replays = true\nclients = [\"job\", \"near\"]"))
        .environment("LOCAL_SECRET", &local().secret)
        .text("[clients.job]\nkeys = [{ access-key = \"LOCALJOB01\", secret-key = { env = \"LOCAL_SECRET\" } }]")
        .text("[clients.near]\nfrom = [\"127.0.0.1/32\"]")
        .workers(2)
        .start();
    let put = |host: &str| Call::new("PUT", host, "/b/k").body("hello");
    let soon = signer::iso(now() + 60);
    let command = |name: &str, expires: Option<&str>| {
        let wire = signer::cloudstack(&[("command", name)], &local(), expires);
        Call::new("GET", "127.0.0.1", &format!("/client/api?{wire}"))
    };
    for (what, call) in [
        ("v4 header", V4::S3.header(&put("s3.internal"), &local(), None).0),
        ("v4 query", V4::S3.query(&put("ceph.internal"), &local(), 60)),
        ("v2 header", signer::v2_header(&put("s3.internal"), &local(), 0, None)),
        ("v2 query", signer::v2_query(&put("ceph.internal"), &local(), now() + 60, None)),
        ("cloudstack", command("destroyVirtualMachine", Some(&soon))),
        (
            "zstack",
            signer::zstack(&Call::new("DELETE", "127.0.0.1", "/zstack/v1/vm-instances/a"), &local(), 0),
        ),
        ("sqs", V4::SQS.header(&Call::new("POST", "127.0.0.1", "/sqs/q").body("Action=A"), &local(), None).0),
    ] {
        // On other connections too, and so by other workers.
        gateway.call(&call.ask()).passed(200);
        for _ in 0..6 {
            let response = gateway.call(&call.ask());
            assert_eq!((response.status, response.error()), (403, "replayed-signature"), "{what}");
        }
        assert_eq!(upstream.take().len(), 1, "{what}");
    }
    // A reload forgets nothing.
    let call = V4::S3.header(&put("s3.internal"), &local(), None).0.header("X-Once", "1");
    gateway.call(&call.ask());
    gateway.signal("HUP");
    gateway.wait_for_event("configuration reloaded");
    gateway.call(&call.ask()).refused(403, "replayed-signature");
    upstream.take();
    // What changes nothing may come again, and so may what is not signed.
    for call in [
        V4::S3.header(&Call::new("GET", "s3.internal", "/b/k"), &local(), None).0,
        V4::S3.query(&Call::new("HEAD", "s3.internal", "/b/k"), &local(), 60),
        command("listUsers", None),
        put("s3.internal"),
    ] {
        for _ in 0..3 {
            gateway.call(&call.ask()).passed(200);
        }
    }
    // A signature without an end cannot be remembered to its end.
    gateway.call(&command("destroyVirtualMachine", None).ask()).refused(403, "signature-without-end");
    let refused = upstream.take();
    assert_eq!(refused.len(), 12);
}
