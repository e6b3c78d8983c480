//! The page as it comes without a script: guarded, whole, and free of other people's markup.

use super::*;

/// What a hostile caller writes wherever a caller can write something.
const MARKUP: &str = "<img/src=x/onerror=alert(1)>\"'><script>alert(2)</script>";

#[test]
fn every_answer_says_what_may_be_done_with_it() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    let paths = [
        ("/", 200, "text/html; charset=utf-8"),
        ("/call?id=none", 404, "text/html; charset=utf-8"),
        ("/console/style.css", 200, "text/css; charset=utf-8"),
        ("/console/app.js", 200, "text/javascript; charset=utf-8"),
        ("/console/page.js", 200, "text/javascript; charset=utf-8"),
        ("/status", 200, "application/json"),
        ("/history", 200, "application/json"),
        ("/calls", 200, "application/json"),
        ("/calls/none", 404, "text/plain; charset=utf-8"),
        ("/search", 404, "text/plain; charset=utf-8"),
        ("/console/", 404, "text/plain; charset=utf-8"),
        ("/console/index.html", 404, "text/plain; charset=utf-8"),
        ("/calls?filter=status:bad", 400, "text/plain; charset=utf-8"),
        ("/?filter=%zz", 400, "text/plain; charset=utf-8"),
    ];
    for (path, status, media_type) in paths {
        let told = gateway.admin(path);
        assert_eq!((told.status, told.headers.one("content-type")), (status, Some(media_type)), "{path}");
        let policy = told.headers.one("content-security-policy").unwrap();
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.split("; ").any(|found| found == rule), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(told.headers.one("cache-control"), Some("no-store"), "{path}");
        assert_eq!(told.headers.one("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(told.headers.one("referrer-policy"), Some("no-referrer"), "{path}");
        assert_eq!(told.headers.one("cross-origin-resource-policy"), Some("same-origin"), "{path}");
        assert!(
            !told.headers.has("access-control-allow-origin") && !told.headers.has("set-cookie"),
            "{path}"
        );
    }
}

#[test]
fn the_page_and_its_own_requests_pass_and_nothing_else_does() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    let status = |call: &Ask| Caller::to(gateway.admin).call(call).status;
    let own = format!("http://{}", gateway.admin);
    let same = |path: &str| {
        ask("GET", path).header("Sec-Fetch-Site", "same-origin").header("Sec-Fetch-Mode", "cors")
    };
    for path in ["/", "/status", "/history", "/calls", "/metrics", "/console/app.js"] {
        assert_eq!(status(&ask("GET", path).header("Sec-Fetch-Site", "none")), 200, "{path}");
        assert_eq!(status(&same(path)), 200, "{path}");
        assert_eq!(status(&same(path).header("Origin", &own)), 200, "{path}");
        assert_eq!(status(&ask("HEAD", path)), 200, "{path}");
        assert_eq!(status(&ask("GET", path).header("Host", "evil.example")), 421, "{path}");
        assert_eq!(status(&ask("GET", path).header("Origin", "http://evil.example")), 403, "{path}");
        assert_eq!(status(&ask("GET", path).header("Origin", "http://localhost:1")), 403, "{path}");
        assert_eq!(status(&ask("GET", path).header("Sec-Fetch-Site", "cross-site")), 403, "{path}");
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let call = ask(method, path).header("Origin", &own).header("Sec-Fetch-Site", "same-origin");
            assert_eq!(status(&call), 405, "{method} {path}");
        }
    }
    assert_eq!(status(&ask("GET", "/events").header("Origin", "http://evil.example")), 403);
    upstream.assert_untouched("the console");
}

#[test]
fn nothing_stands_in_the_page_that_its_own_policy_forbids() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    let page = gateway.admin("/").text();
    assert!(!page.contains("{{") && !page.contains("}}"), "a slot was left");
    assert!(!page.contains("style="), "inline style");
    for rest in page.split(" on").skip(1) {
        let name = rest.split(|letter: char| !letter.is_ascii_alphabetic()).next().unwrap();
        assert!(!rest[name.len()..].starts_with('='), "inline handler: on{name}");
    }
    assert_eq!(page.matches("<script").count(), 1);
    assert!(page.contains("<script type=\"module\" src=\"/console/app.js\"></script>"));
    // Nothing is loaded from elsewhere.
    for (at, _) in page.match_indices("://") {
        assert!(page[..at].ends_with("http") && page[at..].starts_with("://127.0.0.1:"), "a foreign address");
    }
    // Neither do the files, all of which the page and its scripts name.
    let mut files = vec!["/console/style.css".to_owned(), "/console/app.js".to_owned()];
    let mut read = 0;
    while let Some(file) = files.get(read).cloned() {
        read += 1;
        let told = gateway.admin(&file);
        assert_eq!(told.status, 200, "{file}");
        let text = told.text();
        for foreign in ["https://", "//cdn", "@import", "import("] {
            assert!(!text.contains(foreign), "{file}: {foreign}");
        }
        for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"]
        {
            assert!(!text.contains(way), "{file} uses {way}");
        }
        let imports = text.lines().filter_map(|line| line.strip_prefix("import ")?.split('"').nth(1));
        for import in imports {
            let import = format!("/console/{}", import.strip_prefix("./").unwrap());
            if !files.contains(&import) {
                files.push(import);
            }
        }
    }
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/console");
    let names =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let scripts =
        names.filter(|name| std::path::Path::new(name).extension().is_some_and(|of| of == "js")).count();
    assert_eq!(files.len(), scripts + 1, "{files:?}");
}

#[test]
fn without_a_script_the_page_shows_everything() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    look(&gateway);
    for (_, call) in calls() {
        gateway.call(&call).passed(200);
    }
    gateway.call(&ask("GET", "/nowhere")).refused(404, "route-not-found");
    kept(&gateway, 6);
    let page = gateway.admin("/").text();
    for route in ["cloud", "zstack", "ceph", "s3", "sqs"] {
        assert!(page.contains(&format!("<tr data-route=\"{route}\">")), "{route}");
    }
    for text in
        ["listUsers", "s3:GetObjectVersion", "sqs:ListQueues", "bucket/key", "route-not-found", "<noscript>"]
    {
        assert!(page.contains(text), "{text}");
    }
    let rows = |page: &str| page.matches("<tr data-id=").count();
    assert_eq!(rows(&page), 6);
    // The filter is an ordinary form.
    assert_eq!(rows(&gateway.admin("/?filter=route%3As3+op%3A*GetObject*").text()), 1);
    let wrong = gateway.admin("/?filter=status%3Awrong").text();
    assert!(wrong.contains("`wrong` is no status"), "{wrong}");
    // So is a call's page.
    let id = page.split("/call?id=").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let detail = gateway.admin(&format!("/call?id={id}"));
    assert_eq!(detail.status, 200);
    assert!(detail.text().contains(id));
}

#[test]
fn what_callers_write_is_never_markup() {
    let upstream = Upstream::ok();
    let gateway = Gateway::with(&every_scheme(&upstream));
    look(&gateway);
    let encoded = naive::encoded(MARKUP.as_bytes(), "");
    for target in [format!("/client/api?command={encoded}"), format!("/{encoded}/{encoded}")] {
        let host = if target.starts_with("/client") { "localhost" } else { "s3.internal" };
        let call = ask("GET", &target).header("Host", host).header("User-Agent", MARKUP);
        gateway.call(&call);
    }
    let calls = kept(&gateway, 2);
    assert!(calls.iter().any(|call| call["agent"] == MARKUP), "{calls:?}");
    assert!(calls.iter().any(|call| call["resource"].as_str().unwrap().contains("<script>")), "{calls:?}");
    let filter = format!("/?filter={encoded}");
    let mut pages = vec![gateway.admin("/").text(), gateway.admin(&filter).text()];
    for call in &calls {
        pages.push(gateway.admin(&format!("/call?id={}", call["id"].as_str().unwrap())).text());
    }
    pages.push(gateway.admin(&format!("/call?id={encoded}")).text());
    for page in pages {
        assert!(!page.contains("<img") && !page.contains("<script>") && !page.contains("\"'>"), "{page}");
    }
    assert!(gateway.admin(&filter).text().contains("&lt;img/src=x/onerror=alert(1)&gt;"));
}
