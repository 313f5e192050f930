//! Inviting somebody, and accepting what somebody else sent.

use mayfly_core::view::{ChatView, InvitationView};

use crate::{error::Error, state::AppState};

pub(super) async fn create_invitation(state: &AppState) -> Result<InvitationView, Error> {
    Ok(state.engine().await?.create_invitation().await?)
}

pub(super) async fn accept_invitation(state: &AppState, link: String) -> Result<ChatView, Error> {
    Ok(state.engine().await?.accept_invitation(&link).await?)
}
