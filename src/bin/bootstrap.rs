//! The function on AWS Lambda. Everything it does is in `imagewarden::function`.

// One event at a time: a second thread would cost start-up time and do nothing.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    imagewarden::function::run().await
}
