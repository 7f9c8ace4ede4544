"""One module per stage; each makes one artefact or finds it up to date."""
