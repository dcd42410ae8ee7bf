"""What every stack holds to, each rule a plain function."""
