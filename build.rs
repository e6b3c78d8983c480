//! Tells the program which compiler built it, for `countersign_build_info`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let told = std::process::Command::new(rustc).arg("--version").output();
    let text = told.map(|told| String::from_utf8_lossy(&told.stdout).into_owned()).unwrap_or_default();
    let version = text.split(' ').nth(1).map_or("unknown", str::trim);
    println!("cargo::rustc-env=COUNTERSIGN_RUSTC={version}");
}
