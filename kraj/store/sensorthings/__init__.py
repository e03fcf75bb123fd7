"""SensorThings over the views of what is public: entities as columns, filters as SQL with parameters, reading."""
