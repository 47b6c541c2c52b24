//! Says what to link.  Both libraries are in the same package everywhere.

fn main() {
    println!("cargo:rustc-link-lib=pam");
    println!("cargo:rustc-link-lib=pam_misc");
    println!("cargo:rerun-if-changed=build.rs");
}
