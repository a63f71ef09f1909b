//! Starts the program; everything is in the library, so that the compiler finds what nobody uses.

fn main() -> std::process::ExitCode {
    okta_ciam::main()
}
