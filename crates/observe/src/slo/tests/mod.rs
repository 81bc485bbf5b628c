mod page;
mod simulation;
mod standing;
