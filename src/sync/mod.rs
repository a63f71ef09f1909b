//! From an org to a snapshot: what to ask ([`plan`], pure), asking it ([`run`], threads), where it lands meanwhile
//! ([`work`]), and the one pass that writes it in order ([`assemble`]).

pub mod assemble;
pub mod plan;
pub mod run;
pub mod work;
