//! Facts from files in the shapes the AWS CLI prints.
