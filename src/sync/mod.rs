//! From an org to a snapshot: what to ask ([`plan`], [`ends`], pure), asking it ([`worker`], threads; [`run`], who
//! decides), where it lands meanwhile ([`work`], [`directory`], [`listing`]), whether an interrupted run goes on
//! ([`resume`], pure), the one pass that writes it all in order ([`assemble`]), and whether that lost too much ([`drop`],
//! pure).

pub mod assemble;
pub mod directory;
pub mod drop;
pub mod ends;
pub mod listing;
pub mod plan;
pub mod resume;
pub mod run;

pub mod work;
mod worker;

#[cfg(test)]
mod tests;
