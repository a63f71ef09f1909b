//! Starts the program. Everything else is in the library, so that the compiler reports unused code.

fn main() -> std::process::ExitCode {
    okta_ciam::main()
}
