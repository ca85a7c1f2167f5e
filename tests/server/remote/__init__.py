"""Models on other servers, as a load asks them."""
