//! Published values for what the signers use, and both back ends against each other.

use super::super::encode::hex;
use super::*;

fn text(bytes: &[u8]) -> String {
    let mut out = Vec::new();
    hex(bytes, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// RFC 2202 and RFC 4231: a short key, and one longer than a block.
#[test]
fn published_macs() {
    let message = b"Test Using Larger Than Block-Size Key - Hash Key First";
    let what = b"what do ya want for nothing?";
    assert_eq!(text(&MacSha1::new(b"Jefe").sign(what)), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    assert_eq!(text(&MacSha1::new(&[0xAA; 80]).sign(message)), "aa4ae5e15272d00e95705637ce8a3b55ed402112");
    let short = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    let long = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54";
    assert_eq!(text(&MacSha256::new(b"Jefe").sign(what)), short);
    assert_eq!(text(&MacSha256::new(&[0xAA; 131]).sign(message)), long);
    assert_eq!(text(&portable::MacSha256::new(b"Jefe").sign(what)), short);
    assert_eq!(text(&portable::MacSha256::new(&[0xAA; 131]).sign(message)), long);
}

#[test]
fn pieces_hash_like_the_whole() {
    let mut running = RunningSha256::new();
    running.update(b"ab");
    running.update(b"");
    running.update(b"c");
    let fork = running.clone();
    running.update(b"d");
    assert_eq!(fork.finish(), sha256(b"abc"));
    assert_eq!(running.finish(), sha256(b"abcd"));
    assert_eq!(text(&sha256(b"")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/// Every length of key and message around the edges of a block, through one keyed state and a copy of it, whichever
/// back end this machine would choose.
#[test]
fn the_back_ends_agree() {
    let bytes: Vec<u8> = (0..=255).cycle().take(1024).collect();
    for key in [0, 1, 20, 31, 32, 33, 63, 64, 65, 127, 128, 129, 300] {
        let oracle = portable::MacSha256::new(&bytes[..key]);
        let chosen = MacSha256::new(&bytes[..key]);
        #[cfg(feature = "linked-digests")]
        let linked = linked::MacSha256::new(&bytes[..key]);
        for length in (0..200).chain([255, 256, 511, 1024]) {
            let message = &bytes[..length];
            let expected = oracle.sign(message);
            assert_eq!(chosen.sign(message), expected, "key {key}, message {length}");
            assert_eq!(chosen.clone().sign(message), expected, "key {key}, message {length}");
            let (begin, end) = message.split_at(length / 3);
            assert_eq!(chosen.sign_all(&[begin, b"", end]), expected, "key {key}, message {length}");
            assert_eq!(oracle.sign_all(&[begin, b"", end]), expected, "key {key}, message {length}");
            #[cfg(feature = "linked-digests")]
            assert_eq!(linked.sign(message), expected, "key {key}, message {length}");
            #[cfg(feature = "linked-digests")]
            assert_eq!(linked.sign_all(&[begin, end]), expected, "key {key}, message {length}");
            #[cfg(feature = "linked-digests")]
            assert_eq!(linked.clone().sign(message), expected, "key {key}, message {length}");
        }
    }
    for length in 0..bytes.len() {
        let message = &bytes[..length];
        let expected = portable::sha256(message);
        assert_eq!(sha256(message), expected, "{length}");
        let mut chosen = RunningSha256::new();
        #[cfg(feature = "linked-digests")]
        let mut linked = linked::RunningSha256::new();
        for piece in message.chunks(37) {
            chosen.update(piece);
            #[cfg(feature = "linked-digests")]
            linked.update(piece);
        }
        assert_eq!(chosen.finish(), expected, "{length}");
        #[cfg(feature = "linked-digests")]
        assert_eq!(linked.finish(), expected, "{length}");
        #[cfg(feature = "linked-digests")]
        assert_eq!(linked::sha256(message), expected, "{length}");
    }
}
