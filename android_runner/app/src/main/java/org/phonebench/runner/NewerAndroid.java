package org.phonebench.runner;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/** Marks methods that check the version and then call APIs newer than Android 8. The build's API check skips them. */
@Target(ElementType.METHOD)
@Retention(RetentionPolicy.CLASS)
@interface NewerAndroid {}
