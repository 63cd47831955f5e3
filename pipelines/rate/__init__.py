"""Human ratings: two methods' pictures side by side, blind; answers in SQLite, Bradley-Terry scores from them."""
