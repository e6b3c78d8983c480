module countersign/interop/go-cloudstack

go 1.19

require github.com/xanzy/go-cloudstack/v2 v2.9.0

// Debian's package of the library; the Go proxies do not all have it.
replace github.com/xanzy/go-cloudstack/v2 => /usr/share/gocode/src/github.com/xanzy/go-cloudstack
