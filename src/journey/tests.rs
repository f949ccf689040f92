//! Journeys without a driver.
