variable "name" {
  description = "Name of the topic."
  type        = string
}

variable "alarm_name_prefix" {
  description = "What the names of the alarms that may publish begin with."
  type        = string
}

variable "email" {
  description = "Address that is told of alarms, once its owner has confirmed."
  type        = string
}
